"""The Python base image: the one asked for when it can be pulled, else one made from this machine's Debian packages."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from llmos import packages
from llmos.console import note, step
from llmos.files import write_whole
from llmos.images.debian_root import debian_root
from llmos.images.engine import Engine
from llmos.images.registry_client import Registry
from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault

__all__ = ["BaseImage", "ensure_base", "known_base"]

_REPOSITORY = "llmos-base"
# An unreachable registry fails in seconds; this bounds a download that never ends.
_PULL_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """A base image in the local registry.

    Attributes:
        ref: reference with digest, for the build argument BASE_IMAGE.
        made: True when it was made here from Debian's packages, False when it is a copy of what was asked for.
        origin: one line that says so, for people.
    """

    ref: str
    made: bool
    origin: str


def known_base(reference: str, *, registry: Registry) -> BaseImage | None:
    """The base image that stands for ``reference`` already, when the registry still has it; needs no engine."""
    path = _record(reference)
    try:
        base = BaseImage(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    repository, _, digest = base.ref.partition("@")
    name = repository.partition("/")[2]
    # The registry may have moved to another port since; its images came along.
    return replace(base, ref=f"{registry.address}/{name}@{digest}") if registry.has(name, digest) else None


def ensure_base(reference: str, *, engine: Engine, registry: Registry, install: bool) -> BaseImage:
    """Have the base image in the local registry, pinned by digest; done once, then taken from there.

    Args:
        reference: what a Dockerfile names, e.g. ``python:3.11-slim-bookworm``.
        install: whether mmdebstrap may be installed when the image has to be made.

    Raises:
        EnvironmentFault: it can neither be pulled nor made here.
    """
    base = known_base(reference, registry=registry)
    if base is not None:
        return base
    with step(f"pulling the base image {reference}"):
        problem = _pull(reference, engine=engine)
    if problem is None:
        ref = _push(reference, engine=engine, registry=registry)
        base = BaseImage(ref=ref, made=False, origin=f"base image {reference}, copied to {ref}")
    else:
        _refuse_what_cannot_be_made(reference, problem)
        why = f"the base image, because {reference} cannot be pulled: {problem}"
        packages.ensure(["mmdebstrap"], install=install, why=why)
        with debian_root() as root:
            ref = _import(root, engine=engine, registry=registry)
        origin = f"base image made from this machine's Debian packages, because {reference} cannot be pulled: {problem}"
        base = BaseImage(ref=ref, made=True, origin=origin)
    _write(reference, base)
    note(base.origin)
    return base


def _pull(reference: str, *, engine: Engine) -> str | None:
    """Pull an image; None when that worked, else the reason in a few words."""
    try:
        done = engine.docker(["pull", "--quiet", reference], timeout_seconds=_PULL_SECONDS, check=False)
    except EnvironmentFault:
        return f"no end after {_PULL_SECONDS} s"
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return last.removeprefix("Error response from daemon: ").rpartition(": ")[2]


def _push(reference: str, *, engine: Engine, registry: Registry) -> str:
    tag = re.sub(r"[^A-Za-z0-9_.-]", "-", reference)[-100:].lstrip(".-")
    target = f"{registry.address}/{_REPOSITORY}:{tag}"
    engine.docker(["tag", reference, target], where="base image")
    engine.docker(["push", "--quiet", target], where="base image")
    digest = registry.digest(_REPOSITORY, tag)
    if digest is None:
        what = f"{target} was pushed, but the registry does not have it"
        fix = "use an engine on this machine: one elsewhere has a loopback of its own"
        raise EnvironmentFault(Fault(what=what, where="base image", fix=fix))
    return f"{registry.address}/{_REPOSITORY}@{digest}"


def _import(root: Path, *, engine: Engine, registry: Registry) -> str:
    changes = ["--change", "ENV LANG=C.UTF-8", "--change", 'CMD ["python3"]']
    image = engine.docker(["import", *changes, root], where="base image").stdout.strip()
    local = f"{_REPOSITORY}:debian"
    engine.docker(["tag", image, local], where="base image")
    return _push(local, engine=engine, registry=registry)


def _refuse_what_cannot_be_made(reference: str, problem: str) -> None:
    """Only a Python image can stand for a Python image, and only Debian's tools on Linux as root make one."""
    name = reference.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if name == "python" and shutil.which("apt-get") and os.geteuid() == 0:
        return
    what = f"the base image {reference} cannot be pulled: {problem}"
    nearest = "on Debian or Ubuntu, as root, a `python` image would be made from the system's packages instead"
    fix = "give a base image that this machine can pull by the build argument BASE_IMAGE, or log in to its registry"
    raise EnvironmentFault(Fault(what=what, where="base image", nearest=nearest, fix=fix))


def _record(reference: str) -> Path:
    """One record per reference and processor; its name is readable, and safe on every file system."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{reference}-{platform.machine()}")
    return cache_dir() / "images" / "base" / f"{name}.json"


def _write(reference: str, base: BaseImage) -> None:
    path = _record(reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(vars(base)))
