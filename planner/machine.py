"""Where this program keeps things on a user's machine. Shared by the Pulumi program and the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_dir", "local_kubeconfig"]


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


def local_kubeconfig() -> str:
    """Path of the embedded cluster's kubeconfig. ``LLMOS_KUBECONFIG`` overrides it, for a second cluster."""
    return os.environ.get("LLMOS_KUBECONFIG") or str(cache_dir() / "clusters" / "llmos" / "kubeconfig")
