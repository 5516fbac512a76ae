"""Base images as Dockerfiles name them, and by way of a cluster's copies of other registries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner.plan import Plan

__all__ = ["cached_bases", "default_base"]

_LINE = re.compile(r"^\s*ARG\s+BASE_IMAGE=[\"']?([^\s\"']+)", re.MULTILINE | re.IGNORECASE)


def default_base(dockerfile: Path) -> str:
    """The default of ``ARG BASE_IMAGE``; empty where the Dockerfile has none, or is not there."""
    line = _LINE.search(dockerfile.read_text(encoding="utf-8")) if dockerfile.is_file() else None
    return line[1] if line else ""


def cached_bases(plan: Plan, folders: Iterable[str], *, project: Path) -> dict[str, str]:
    """The default base image of each build folder by way of the cluster's cache.

    Folders are left out whose Dockerfile states no ``ARG BASE_IMAGE``, or one of a registry that the cache does not
    keep; so are all of a stack without a cache.

    Args:
        plan: knows what the cluster keeps.
        folders: as they stand in the plan.
        project: what they are relative to.
    """
    if plan.aws is None or not plan.aws.cache_prefixes:
        return {}
    from planner.plan.aws_caches import through_cache

    stated = {folder: default_base(project / folder / "Dockerfile") for folder in sorted(set(folders))}
    cached = {folder: through_cache(plan.aws, base) for folder, base in stated.items() if base}
    return {folder: base for folder, base in cached.items() if base != stated[folder]}
