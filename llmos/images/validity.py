"""Whether the last build of an image still stands for it, so that nothing has to be built."""

from __future__ import annotations

from llmos.images.base import known_base
from llmos.images.recipe import BuildRecord, Recipe
from llmos.images.registry_client import Registry
from llmos.images.remote import RemoteRegistry
from planner.faults import EnvironmentFault

__all__ = ["still_valid", "valid_elsewhere"]


def still_valid(recipe: Recipe, *, registry: Registry, last: BuildRecord) -> BuildRecord | None:
    """The last build, when it had the same key on the base image that is still there, and the local registry still
    has it."""
    return last if _same(recipe, last=last, local=registry) and registry.has(recipe.repository, last.digest) else None


def valid_elsewhere(recipe: Recipe, *, last: BuildRecord, local: Registry | None) -> BuildRecord | None:
    """The same for an image in another registry, which is asked only when the key is the same.

    Args:
        local: the local registry, where base images are; None when it does not run.
    """
    if not _same(recipe, last=last, local=local):
        return None
    host, _, name = recipe.repository.partition("/")
    try:
        found = RemoteRegistry(host=host).digest(name, last.digest)
    except EnvironmentFault:
        return None
    return last if found == last.digest else None


def _same(recipe: Recipe, *, last: BuildRecord, local: Registry | None) -> bool:
    if recipe.base is not None:
        base = known_base(recipe.base, registry=local) if local else None
        if base is None:
            return False
        recipe = recipe.with_base(base.ref)
    return bool(last.key) and recipe.key == last.key
