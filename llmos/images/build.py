"""From a build folder to an image in a registry, named by the digest that the registry gave it."""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llmos.images.base import ensure_base, known_base
from llmos.images.builder import Recipe, build_and_push
from llmos.images.context import context_key
from llmos.images.engine import check_engine, ensure_engine
from llmos.images.registry import ensure_registry, find_registry
from llmos.images.registry_client import Registry, is_digest
from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["BuiltImage", "base_for", "build", "check", "unchanged"]

_BASE_LINE = re.compile(r"^\s*ARG\s+BASE_IMAGE=[\"']?([^\s\"']+)", re.MULTILINE | re.IGNORECASE)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """An image that a registry has.

    Attributes:
        ref: what to deploy, ``<registry>/<repository>@sha256:…``.
        digest: the digest alone, as the registry gave it.
        changed: whether it differs from what the last build of this repository on this machine gave.
        seconds: how long finding or making it took.
    """

    ref: str
    digest: str
    changed: bool
    seconds: float


def build(
    *,
    context: Path,
    repository: str,
    dockerfile: Path | None = None,
    platforms: Sequence[str] = (),
    build_args: Mapping[str, str] | None = None,
    secrets: Mapping[str, Path] | None = None,
    install: bool = True,
) -> BuiltImage:
    """Build an image, push it, and return the digest that the registry reports; when nothing changed, only that.

    A Dockerfile that says ``ARG BASE_IMAGE=python:…`` gets that image by digest from the local registry, or one made
    from Debian's packages where it cannot be pulled. Every build is offered two secrets: ``ca``, the certificate
    authorities this machine trusts, and ``pip``, a pip.conf with the package index this machine uses. Proxy variables
    are passed on.

    Args:
        context: the build folder.
        repository: name in the local registry, e.g. ``assistant``; with a host in front (``registry.example/team/app``)
            the image goes there, with the credentials of the Docker client.
        dockerfile: ``<context>/Dockerfile`` by default.
        platforms: e.g. ``["linux/amd64"]``; the engine's own by default. More than one needs the buildx plugin.
        build_args: values for ARG lines; they end up in the image's history, so no secrets.
        secrets: further secret files, by the id under which the Dockerfile mounts them.
        install: whether missing Debian packages may be installed (``--no-install`` turns it off).

    Raises:
        UserFault: the build folder or its Dockerfile is missing, or a step of the build failed (quotes that step).
        EnvironmentFault: no engine, registry or base image can be had.
    """
    started = time.monotonic()
    recipe = Recipe(
        context=context, dockerfile=dockerfile or context / "Dockerfile", repository=repository,
        platforms=tuple(platforms), build_args=dict(build_args or {}), secrets=dict(secrets or {}), install=install,
    )  # fmt: skip
    _refuse_missing(context, recipe.dockerfile, where=recipe.where)
    last = _Record.read(repository)
    if _names_a_host(repository):
        record = _build_elsewhere(recipe)
        ref = f"{repository}@{record.digest}"
    else:
        registry = ensure_registry(install=install)
        record = _build_here(recipe, registry=registry, last=last)
        ref = f"{registry.address}/{repository}@{record.digest}"
    record.write(repository)
    seconds = time.monotonic() - started
    return BuiltImage(ref=ref, digest=record.digest, changed=record.digest != last.digest, seconds=seconds)


def unchanged(
    *, context: Path, repository: str, platforms: Sequence[str] = (), build_args: Mapping[str, str] | None = None
) -> str | None:
    """The digest of the last build, when nothing that determines the image changed since; builds and starts nothing.

    Arguments as for ``build``. None when the image would have to be built to know its digest.
    """
    recipe = Recipe(
        context=context, dockerfile=context / "Dockerfile", repository=repository, platforms=tuple(platforms),
        build_args=dict(build_args or {}), secrets={}, install=False,
    )  # fmt: skip
    registry = find_registry()
    if registry is None or _names_a_host(repository) or not recipe.dockerfile.is_file():
        return None
    wanted, last = _wanted_base(recipe), _Record.read(repository)
    base = known_base(wanted, registry=registry) if wanted else None
    if wanted and base is None:
        return None
    same = _key(_with_base(recipe, base.ref if base else None)) == last.key
    return last.digest if same and registry.has(repository, last.digest) else None


def check(
    *,
    context: Path,
    repository: str,
    platforms: Sequence[str] = (),
    build_args: Mapping[str, str] | None = None,
    install: bool = True,
) -> None:
    """Raise at once what ``build`` would raise for want of a build folder, an engine or a package; changes nothing.

    For use before anything else is started. Arguments as for ``build``.
    """
    dockerfile = context / "Dockerfile"
    _refuse_missing(context, dockerfile, where=f"image `{repository}`")
    if unchanged(context=context, repository=repository, platforms=platforms, build_args=build_args) is None:
        check_engine(install=install, why=f"building the image `{repository}`")


def base_for(*, context: Path, platforms: Sequence[str] = (), make: bool, install: bool = True) -> str:
    """The base image that ``build`` gives a Dockerfile, for those who build by other means; empty for its own.

    ``make`` fetches or makes it; otherwise it is named only when the local registry has it already.
    """
    recipe = Recipe(
        context=context, dockerfile=context / "Dockerfile", repository=context.name, platforms=tuple(platforms),
        build_args={}, secrets={}, install=install,
    )  # fmt: skip
    wanted = _wanted_base(recipe)
    registry = (ensure_registry(install=install) if make else find_registry()) if wanted else None
    if wanted is None or registry is None:
        return ""
    base = known_base(wanted, registry=registry)
    if base is None and make:
        engine = ensure_engine(install=install, why=f"building the {recipe.where}")
        base = ensure_base(wanted, engine=engine, registry=registry, install=install)
    return base.ref if base else ""


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What the last build of a repository was made from, and the digest that came of it."""

    key: str = ""
    digest: str = ""

    @staticmethod
    def _path(repository: str) -> Path:
        return cache_dir() / "images" / "built" / f"{re.sub(r'[^a-z0-9._-]', '-', repository)}.json"

    @classmethod
    def read(cls, repository: str) -> _Record:
        try:
            return cls(**json.loads(cls._path(repository).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return cls()

    def write(self, repository: str) -> None:
        path = self._path(repository)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vars(self)), encoding="utf-8")


def _build_here(recipe: Recipe, *, registry: Registry, last: _Record) -> _Record:
    """Build into the local registry. When nothing that determines the image changed, not even an engine is needed."""
    wanted = _wanted_base(recipe)
    base = known_base(wanted, registry=registry) if wanted else None
    if base is not None or wanted is None:
        same = _key(_with_base(recipe, base.ref if base else None)) == last.key
        if same and registry.has(recipe.repository, last.digest):
            return last
    engine = ensure_engine(install=recipe.install, why=f"building the {recipe.where}")
    if wanted is not None:
        base = ensure_base(wanted, engine=engine, registry=registry, install=recipe.install)
    recipe = _with_base(recipe, base.ref if base else None)
    key = _key(recipe)
    tag = f"build-{key[:16]}"
    build_and_push(recipe, engine=engine, target=f"{registry.address}/{recipe.repository}:{tag}")
    digest = registry.digest(recipe.repository, tag)
    if digest is None:
        what = f"{recipe.repository}:{tag} was pushed, but the registry at {registry.address} does not have it"
        fix = "use an engine on this machine: one elsewhere has a loopback of its own"
        raise EnvironmentFault(Fault(what=what, where=recipe.where, fix=fix))
    return _Record(key=key, digest=digest)


def _build_elsewhere(recipe: Recipe) -> _Record:
    """Build into a registry that only the Docker client can log in to; its layers make a repetition quick."""
    engine = ensure_engine(install=recipe.install, why=f"building the {recipe.where}")
    wanted = _wanted_base(recipe)
    if wanted is not None:
        registry = ensure_registry(install=recipe.install)
        base = ensure_base(wanted, engine=engine, registry=registry, install=recipe.install)
        recipe = _with_base(recipe, base.ref)
    key = _key(recipe)
    target = f"{recipe.repository}:build-{key[:16]}"
    digest = build_and_push(recipe, engine=engine, target=target)
    if not is_digest(digest):
        what = f"{target} was pushed, but its registry reported no digest"
        fix = "check that registry, then run the command again"
        raise EnvironmentFault(Fault(what=what, where=recipe.where, fix=fix))
    return _Record(key=key, digest=digest)


def _refuse_missing(context: Path, dockerfile: Path, *, where: str) -> None:
    if not context.is_dir():
        what = f"the build folder {context} does not exist"
        fix = "correct the path behind `build:`, or name an image by `ref:`"
        raise UserFault(Fault(what=what, where=where, nearest=_similar_folder(context), fix=fix))
    if not dockerfile.is_file():
        what = f"there is no {dockerfile.name} in {dockerfile.parent}"
        fix = "write one, or point `build:` at the folder that has it"
        raise UserFault(Fault(what=what, where=where, fix=fix))


def _similar_folder(context: Path) -> str:
    siblings = sorted(path.parent for path in context.parent.glob("*/Dockerfile")) if context.parent.is_dir() else []
    return f"folders with a Dockerfile beside it: {', '.join(path.name for path in siblings)}" if siblings else ""


def _names_a_host(repository: str) -> bool:
    """Docker's own rule: what stands before the first slash is a host when it has a dot or a port, or is localhost."""
    first, slash, _ = repository.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def _wanted_base(recipe: Recipe) -> str | None:
    """The base image to provide: the default of ``ARG BASE_IMAGE``; none for a caller's own or another processor."""
    here = f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}"
    if "BASE_IMAGE" in recipe.build_args or any(one != here for one in recipe.platforms):
        return None
    line = _BASE_LINE.search(recipe.dockerfile.read_text(encoding="utf-8"))
    return line[1] if line else None


def _with_base(recipe: Recipe, ref: str | None) -> Recipe:
    return replace(recipe, build_args={**recipe.build_args, "BASE_IMAGE": ref}) if ref else recipe


def _key(recipe: Recipe) -> str:
    arguments = [f"{name}={value}" for name, value in sorted(recipe.build_args.items())]
    values = {"arguments": arguments, "platforms": recipe.platforms}
    return context_key(recipe.context, dockerfile=recipe.dockerfile, recipe=values)
