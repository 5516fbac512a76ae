"""Where things live on the user's machine. Nothing of ours is written outside these folders and the checkout."""

from __future__ import annotations

from pathlib import Path

from planner import machine

__all__ = ["PROJECT_ROOT", "cache_dir"]

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """The user's cache folder of this program (``planner.machine.cache_dir``), created when missing."""
    folder = machine.cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
