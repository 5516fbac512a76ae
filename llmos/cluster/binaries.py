"""Where the embedded cluster's programs come from: PATH, else the cache, else official downloads, else a build."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from llmos.cluster import downloads, gobuild
from llmos.cluster.locks import exclusive
from llmos.cluster.versions import KARPENTER, KUBECTL, KWOKCTL, NODE_PROGRAMS, PROGRAMS, Program
from llmos.console import note
from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault

__all__ = ["Binaries", "NodeBinaries", "find", "provide", "provide_for_node"]


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """One path for each program."""

    kwokctl: Path
    kwok: Path
    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubectl: Path
    karpenter: Path

    def complete(self) -> bool:
        """Whether all of them still exist: a user may empty the cache at any time."""
        return all(getattr(self, field.name).is_file() for field in fields(self))

    @property
    def karpenter_crds(self) -> Path:
        """Folder with Karpenter's custom resource definitions, kept when Karpenter was built."""
        return self.karpenter.with_name(f"{self.karpenter.name}.data")


@dataclass(frozen=True, kw_only=True)
class NodeBinaries:
    """One path for each further program that a real node takes."""

    kubelet: Path
    kube_proxy: Path
    node_helper: Path
    kube_network_policies: Path
    coredns: Path
    metrics_server: Path


def provide(*, install: bool = True, progress: Callable[[str], None] = note) -> Binaries:
    """All programs, fetched or built where they are missing (some 17 minutes on 2 cores when all are, once).

    Args:
        install: whether missing programs may be downloaded or built.
        progress: receives what is being done.

    Raises:
        EnvironmentFault: a program is missing and ``install`` is off, or it can neither be downloaded nor built.
    """
    found = _provide(PROGRAMS, install=install, progress=progress)
    return Binaries(
        **{program.name.replace("-", "_"): path for program, path in found.items() if program is not KARPENTER},
        karpenter=found[KARPENTER],
    )


def provide_for_node(*, install: bool = True, progress: Callable[[str], None] = note) -> NodeBinaries:
    """The same for the programs of a real node (some 6 minutes more on 2 cores when all are missing, once)."""
    found = _provide(NODE_PROGRAMS, install=install, progress=progress)
    return NodeBinaries(**{program.name.replace("-", "_"): path for program, path in found.items()})


def _provide(
    programs: Sequence[Program], *, install: bool, progress: Callable[[str], None]
) -> dict[Program, Path]:
    found = {program: path for program in programs if (path := find(program)) is not None}
    missing = [program for program in programs if program not in found]
    if missing and not install:
        names = ", ".join(f"{program.name} {program.version}" for program in missing)
        what = f"missing: {names}; and --no-install was given"
        fix = "run `python3 -m llmos cluster up` without --no-install, or put these versions on PATH"
        raise EnvironmentFault(Fault(what=what, where="embedded cluster", fix=fix))
    if missing:
        why = "another command is building the cluster's programs"
        with exclusive("programs", why=why, progress=progress, timeout_seconds=3600):
            found |= _obtain([program for program in missing if not _cached(program)], found, progress=progress)
            found |= {program: path for program in missing if (path := _cached(program)) is not None}
    return found


def find(program: Program) -> Path | None:
    """The program if it needs neither download nor build, else None.

    A suitable one on PATH is taken first because its owner put it there; kubectl alone the other way round, because
    what PATH has is often a wrapper of another version, and ours matches the server.
    """
    places = (_cached, _on_path) if program is KUBECTL else (_on_path, _cached)
    return next((path for place in places if (path := place(program)) is not None), None)


def _obtain(
    missing: list[Program], found: dict[Program, Path], *, progress: Callable[[str], None]
) -> dict[Program, Path]:
    if not missing:
        return {}
    go: Path | None = None
    built: dict[Program, Path] = {}
    kwokctl = found.get(KWOKCTL) or _cached(KWOKCTL)
    if kwokctl is None:
        go = gobuild.require_go(programs=len(missing))
        kwokctl = built[KWOKCTL] = gobuild.build(KWOKCTL, go=go, progress=progress)
    rest = [program for program in missing if program not in built]
    fetched = downloads.fetch(rest, kwokctl=kwokctl, progress=progress)
    rest = [program for program in rest if program not in fetched]
    if rest:
        go = go or gobuild.require_go(programs=len(rest))
        built |= {program: gobuild.build(program, go=go, progress=progress) for program in rest}
    return built


def _cached(program: Program) -> Path | None:
    path = cache_dir() / "bin" / program.file_name
    return path if path.is_file() else None


def _on_path(program: Program) -> Path | None:
    if program.path_minimum is None:
        return None
    path = shutil.which(program.name)
    version = _version(program, path) if path else None
    if path is None or version is None:
        return None
    suitable = version == program.path_minimum if program.path_same_minor else version >= program.path_minimum
    return Path(path) if suitable else None


def _version(program: Program, path: str) -> tuple[int, int] | None:
    words = ["version", "--client"] if program is KUBECTL else ["--version"]
    try:
        done = subprocess.run(
            [path, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
            errors="replace", timeout=10, check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bv?(\d+)\.(\d+)\.\d+", done.stdout)
    return (int(match[1]), int(match[2])) if match else None
