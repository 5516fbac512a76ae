"""Where things live on the user's machine. Nothing of ours is written outside these folders and the checkout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["PROJECT_ROOT", "cache_dir"]

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """The user's cache folder of this program, created when missing.

    ``LLMOS_CACHE_DIR`` overrides it (tests use that); otherwise the platform's convention: ``XDG_CACHE_HOME`` or
    ``~/.cache`` on Linux, ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows.
    """
    override = os.environ.get("LLMOS_CACHE_DIR")
    if override:
        folder = Path(override)
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches" / "llmos"
    elif sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "llmos"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmos"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
