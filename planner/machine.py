"""Where this program keeps things on a user's machine. Shared by the Pulumi program and the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_dir", "local_cluster", "local_kubeconfig", "local_registry", "locks_dir"]


def cache_dir() -> Path:
    """The user's cache folder of this program; it may not exist yet.

    ``LLMOS_CACHE_DIR`` overrides it; otherwise the platform's convention: ``XDG_CACHE_HOME`` or ``~/.cache`` on Linux,
    ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows.
    """
    override = os.environ.get("LLMOS_CACHE_DIR")
    if override:
        return Path(override)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "llmos"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "llmos"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmos"


def local_cluster() -> str:
    """Name of the embedded cluster that target ``local`` means. ``LLMOS_CLUSTER`` names another one."""
    return os.environ.get("LLMOS_CLUSTER") or "llmos"


def local_kubeconfig() -> str:
    """Path of the embedded cluster's own kubeconfig."""
    return str(cache_dir() / "clusters" / local_cluster() / "kubeconfig.yaml")


def local_registry(default: str) -> str:
    """Address of the local image registry; ``LLMOS_REGISTRY`` says where it runs when its usual port was taken."""
    return os.environ.get("LLMOS_REGISTRY") or default


def locks_dir(project: Path) -> Path:
    """Folder of the stacks' locks, ``locks/`` of the project. ``LLMOS_LOCKS`` names another one: a release is judged
    there before it is written."""
    return Path(os.environ.get("LLMOS_LOCKS") or project / "locks")
