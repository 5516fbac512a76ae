"""One writer at a time: an advisory file lock that the operating system drops when its holder dies."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from llmos.paths import cache_dir
from planner.faults import EnvironmentFault, Fault

__all__ = ["exclusive"]


@contextmanager
def exclusive(name: str, *, why: str, progress: Callable[[str], None], timeout_seconds: float) -> Iterator[None]:
    """Hold the lock ``name`` of this user's cache; wait for another holder, saying so once.

    Args:
        name: file name of the lock, e.g. ``cluster-llmos``.
        why: what the other holder is doing, for the message, e.g. "another command is working on cluster `llmos`".
        progress: receives that message when there is something to wait for.
        timeout_seconds: how long to wait before giving up.

    Raises:
        EnvironmentFault: the lock was not free in time.
    """
    path = cache_dir() / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_seconds
    waiting = False
    while (file := _try(path)) is None:
        if time.monotonic() > deadline:
            what = f"{why}, and did not finish in {timeout_seconds:g} s"
            fix = "wait for it, or stop it, and run this again"
            raise EnvironmentFault(Fault(what=what, where=str(path), fix=fix))
        if not waiting:
            progress(f"{why}: waiting for it")
            waiting = True
        time.sleep(0.1)
    # Closing the file releases the lock.
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _try(path: Path) -> TextIO | None:
    import fcntl  # not on Windows, where the embedded cluster is refused before any lock is taken

    file = path.open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before us may have removed the file between our opening and locking it.
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return file
    except OSError:
        pass
    file.close()
    return None
