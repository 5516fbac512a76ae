from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from llmos.cluster import binaries, downloads, gobuild
from llmos.cluster.versions import ETCD, KUBE_APISERVER, KUBECTL, KWOK, KWOKCTL, PROGRAMS, Program
from planner.faults import EnvironmentFault

Script = Callable[[str, str], Path]


def cached(cache: Path, program: Program) -> Path:
    path = cache / "bin" / program.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("program", "says", "taken"),
    [
        (KUBE_APISERVER, "Kubernetes v1.34.7", True),
        (KUBE_APISERVER, "Kubernetes v1.35.0", False),
        (KUBECTL, "Client Version: v1.32.4-dispatcher", True),
        (KUBECTL, "Client Version: v1.31.9", False),
        (ETCD, "etcd Version: 3.4.23", False),
        (ETCD, "etcd Version: 3.6.10", True),
        (KWOK, "kwok version v0.8.2 go1.26.8 (linux/amd64)", True),
        (KWOK, "not a version", False),
    ],
)
def test_only_a_suitable_version_is_taken_from_path(
    script: Script, cache: Path, program: Program, says: str, taken: bool
) -> None:
    path = script(program.name, f"print({says!r})")
    assert binaries.find(program) == (path if taken else None)


def test_our_own_kubectl_goes_before_the_one_on_path(script: Script, cache: Path) -> None:
    on_path = script("kubectl", "print('Client Version: v1.34.1')")
    assert binaries.find(KUBECTL) == on_path
    ours = cached(cache, KUBECTL)
    assert binaries.find(KUBECTL) == ours


def test_without_leave_to_install_what_is_missing_is_named(script: Script, cache: Path) -> None:
    for program in PROGRAMS:
        if program is not ETCD:
            cached(cache, program)
    with pytest.raises(EnvironmentFault, match=r"missing: etcd v3\.6\.4; and --no-install was given"):
        binaries.provide(install=False, progress=print)


def test_everything_cached_needs_neither_go_nor_network(script: Script, cache: Path) -> None:
    for program in PROGRAMS:
        cached(cache, program)
    found = binaries.provide(install=False, progress=print)
    assert found.complete()
    assert found.kube_apiserver == cache / "bin" / "kube-apiserver-v1.34.1"
    found.etcd.unlink()
    assert not found.complete()


def test_missing_programs_are_downloaded_else_built_in_order(
    script: Script, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(program: Program, *, go: Path, progress: Callable[[str], None]) -> Path:
        built.append(program.name)
        return cached(cache, program)

    def fetch(programs: list[Program], *, kwokctl: Path, progress: Callable[[str], None]) -> list[Program]:
        assert kwokctl.name == KWOKCTL.file_name and KWOKCTL not in programs
        cached(cache, ETCD)
        return [ETCD]

    monkeypatch.setattr(gobuild, "require_go", lambda *, programs: Path("go"))
    monkeypatch.setattr(gobuild, "build", build)
    monkeypatch.setattr(downloads, "fetch", fetch)
    cached(cache, KUBE_APISERVER)
    assert binaries.provide(progress=print).complete()
    assert built == ["kwokctl", "kwok", "kube-controller-manager", "kube-scheduler", "kubectl", "karpenter-kwok"]


def artifacts(script: Script, *addresses: str) -> Path:
    return script("kwokctl", "print(os.environ['KWOK_KUBE_VERSION'])\n" + "\n".join(f"print({a!r})" for a in addresses))


def test_downloads_come_from_where_kwokctl_says_and_must_run(
    script: Script, cache: Path, tmp_path: Path
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    program = script("program", "print('etcd Version: 3.6.4')").read_bytes()
    (served / "etcd").write_bytes(program)
    (served / "kwok-linux-amd64").write_bytes(program)
    (served / "kube-apiserver").write_text("<html>log in first</html>", encoding="utf-8")
    with tarfile.open(served / "etcd.tar.gz", "w:gz") as tar:
        tar.add(served / "etcd", "etcd-v3.6.4/etcd")
    kwokctl = artifacts(
        script, f"{served.as_uri()}/etcd.tar.gz#etcd", f"{served.as_uri()}/kwok-linux-amd64",
        f"{served.as_uri()}/kube-apiserver",
    )
    said: list[str] = []
    got = downloads.fetch([KWOK, ETCD, KUBE_APISERVER, KUBECTL], kwokctl=kwokctl, progress=said.append)
    assert got == [KWOK, ETCD]
    assert sorted(path.name for path in (cache / "bin").iterdir()) == ["etcd-v3.6.4", "kwok-v0.8.0"]
    assert said[-1].startswith("official downloads cannot be had here (")


def test_the_first_refusal_ends_the_downloads(script: Script, cache: Path, tmp_path: Path) -> None:
    kwokctl = artifacts(script, f"{tmp_path.as_uri()}/absent/kube-apiserver", f"{tmp_path.as_uri()}/absent/kubectl")
    said: list[str] = []
    assert downloads.fetch([KUBE_APISERVER, KUBECTL], kwokctl=kwokctl, progress=said.append) == []
    assert len(said) == 2 and "building from Go modules instead" in said[1]
