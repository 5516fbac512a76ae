"""From a build folder to an image in a registry, named by the digest that the registry gave it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llmos.images.base import ensure_base, known_base
from llmos.images.builder import build_and_push, build_by
from llmos.images.buildx import builder_for, require_reachable
from llmos.images.engine import Engine, check_engine, ensure_engine
from llmos.images.options import BuildOptions
from llmos.images.recipe import BuildRecord, Recipe
from llmos.images.registry import ensure_registry, find_registry
from llmos.images.registry_client import Registry, is_digest
from llmos.images.validity import still_valid, valid_elsewhere
from planner.faults import EnvironmentFault, Fault

__all__ = ["BuiltImage", "base_for", "build", "check", "unchanged"]


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
    options: BuildOptions | None = None,
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
        options: which builder, cache and result; the engine's own BuildKit and a plain push by default.

    Raises:
        UserFault: the build folder or its Dockerfile is missing, or a step of the build failed (quotes that step).
        EnvironmentFault: no engine, registry or base image can be had.
    """
    started = time.monotonic()
    recipe = Recipe(
        context=context, dockerfile=dockerfile or context / "Dockerfile", repository=repository,
        platforms=tuple(platforms), build_args=build_args or {}, secrets=secrets or {}, install=install,
        options=options or BuildOptions(),
    )  # fmt: skip
    recipe.refuse_missing()
    last = BuildRecord.read(repository)
    if recipe.elsewhere:
        record = valid_elsewhere(recipe, last=last, local=find_registry()) or _build_elsewhere(recipe)
        ref = f"{repository}@{record.digest}"
    else:
        registry = ensure_registry(install=install)
        record = _build_here(recipe, registry=registry, last=last)
        ref = f"{registry.address}/{repository}@{record.digest}"
    record.write(repository)
    seconds = time.monotonic() - started
    return BuiltImage(ref=ref, digest=record.digest, changed=record.digest != last.digest, seconds=seconds)


def unchanged(
    *,
    context: Path,
    repository: str,
    platforms: Sequence[str] = (),
    build_args: Mapping[str, str] | None = None,
    options: BuildOptions | None = None,
    offline: bool = False,
) -> str | None:
    """The digest of the last build, when nothing that determines the image changed since; builds and starts nothing.

    Arguments as for ``build``; ``offline`` asks no registry but the local one. None when the image would have to be
    built to know its digest.
    """
    recipe = _plain_recipe(context, repository, platforms, build_args, options)
    if not recipe.dockerfile.is_file():
        return None
    last = BuildRecord.read(repository)
    if recipe.elsewhere:
        record = None if offline else valid_elsewhere(recipe, last=last, local=find_registry())
    else:
        registry = find_registry()
        record = still_valid(recipe, registry=registry, last=last) if registry else None
    return record.digest if record else None


def check(
    *,
    context: Path,
    repository: str,
    platforms: Sequence[str] = (),
    build_args: Mapping[str, str] | None = None,
    install: bool = True,
    options: BuildOptions | None = None,
) -> None:
    """Raise at once what ``build`` would raise for want of a build folder, a builder or a package; changes nothing.

    For use before anything else is started. Arguments as for ``build``.
    """
    recipe = _plain_recipe(context, repository, platforms, build_args, options)
    recipe.refuse_missing()
    digest = unchanged(
        context=context, repository=repository, platforms=platforms, build_args=build_args, options=options
    )
    if digest is None and recipe.options.builder == "remote":
        require_reachable(recipe.options)
    elif digest is None:
        check_engine(install=install, why=f"building the {recipe.where}")


def base_for(*, context: Path, platforms: Sequence[str] = (), make: bool, install: bool = True) -> str:
    """The base image that ``build`` gives a Dockerfile, for those who build by other means; empty for its own.

    ``make`` fetches or makes it; otherwise it is named only when the local registry has it already.
    """
    recipe = _plain_recipe(context, context.name, platforms, None, None)
    if recipe.base is None:
        return ""
    registry = ensure_registry(install=install) if make else find_registry()
    base = known_base(recipe.base, registry=registry) if registry else None
    if registry and base is None and make:
        engine = ensure_engine(install=install, why=f"building the {recipe.where}")
        base = ensure_base(recipe.base, engine=engine, registry=registry, install=install)
    return base.ref if base else ""


def _plain_recipe(
    context: Path, repository: str, platforms: Sequence[str], build_args: Mapping[str, str] | None,
    options: BuildOptions | None,
) -> Recipe:
    return Recipe(
        context=context, dockerfile=context / "Dockerfile", repository=repository, platforms=tuple(platforms),
        build_args=build_args or {}, options=options or BuildOptions(),
    )  # fmt: skip


def _build_here(recipe: Recipe, *, registry: Registry, last: BuildRecord) -> BuildRecord:
    """Build into the local registry. When nothing that determines the image changed, not even an engine is needed."""
    valid = still_valid(recipe, registry=registry, last=last)
    if valid is not None:
        return valid
    made, tag = _make(recipe, repository=f"{registry.address}/{recipe.repository}", registry=registry)
    digest = registry.digest(recipe.repository, tag)
    if digest is None:
        what = f"{recipe.repository}:{tag} was pushed, but the registry at {registry.address} does not have it"
        fix = "use an engine or builder on this machine: one elsewhere has a loopback of its own"
        raise EnvironmentFault(Fault(what=what, where=recipe.where, fix=fix))
    return replace(made, digest=digest)


def _build_elsewhere(recipe: Recipe) -> BuildRecord:
    """Build into a registry that only the Docker client can log in to; its layers make a repetition quick."""
    made, tag = _make(recipe, repository=recipe.repository, registry=None)
    if not is_digest(made.digest):
        what = f"{recipe.repository}:{tag} was pushed, but its registry reported no digest"
        fix = "check that registry, then run the command again"
        raise EnvironmentFault(Fault(what=what, where=recipe.where, fix=fix))
    return made


def _make(recipe: Recipe, *, repository: str, registry: Registry | None) -> tuple[BuildRecord, str]:
    """Build and push; the key and the digest as the push reported it, and the tag."""
    builder = builder_for(recipe)
    if builder is None:
        engine = ensure_engine(install=recipe.install, why=f"building the {recipe.where}")
        recipe = replace(recipe, options=replace(recipe.options, builder="engine"))
        recipe = _on_its_base(recipe, engine=engine, registry=registry)
    key = recipe.key
    tag = f"build-{key[:16]}"
    target = f"{repository}:{tag}"
    if builder is None:
        return BuildRecord(key=key, digest=build_and_push(recipe, engine=engine, target=target)), tag
    return BuildRecord(key=key, digest=build_by(builder, recipe, target=target)), tag


def _on_its_base(recipe: Recipe, *, engine: Engine, registry: Registry | None) -> Recipe:
    if recipe.base is None:
        return recipe
    registry = registry or ensure_registry(install=recipe.install)
    base = ensure_base(recipe.base, engine=engine, registry=registry, install=recipe.install)
    return recipe.with_base(base.ref)
