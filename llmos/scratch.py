"""Folders for what must not stay: secrets of a build, a checkout to compare with."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from llmos.paths import cache_dir

__all__ = ["scratch_folder"]


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A folder that only this user can read; it is gone afterwards.

    A command that is killed cannot remove its own, so each one first removes those of processes that are gone.

    Args:
        purpose: begins the folder's name, e.g. ``build``.
    """
    root = cache_dir() / "scratch"
    root.mkdir(mode=0o700, exist_ok=True)
    for left in root.glob("*-*-*"):
        owner = left.name.split("-")[-2]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{purpose}-{os.getpid()}-", dir=root) as folder:
        yield Path(folder)
