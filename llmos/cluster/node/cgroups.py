"""The control group below which the kubelet puts every pod; killing what is in it kills every container."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from llmos.daemons import wait_until

__all__ = ["create", "kill_members", "members", "remove"]

_ROOT = Path("/sys/fs/cgroup")


def create(name: str, *, root: Path = _ROOT) -> None:
    """Make the group in every hierarchy; the kubelet refuses a root group that is missing in one."""
    for hierarchy in _hierarchies(root):
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        if hierarchy.name == "cpuset":
            # A new group of version 1 has neither processors nor memory nodes, and then nothing can join it.
            for file in ("cpuset.cpus", "cpuset.mems"):
                if not (group / file).read_text(encoding="ascii").strip():
                    (group / file).write_text((hierarchy / file).read_text(encoding="ascii"), encoding="ascii")


def members(name: str, *, root: Path = _ROOT) -> set[int]:
    """Ids of the processes in the group and below it."""
    found: set[int] = set()
    for group in _groups(name, root):
        with contextlib.suppress(OSError):
            found |= {int(line) for line in (group / "cgroup.procs").read_text(encoding="ascii").split()}
    # A process of another process namespace reads as 0.
    return found - {0, os.getpid()}


def kill_members(name: str, *, root: Path = _ROOT) -> None:
    """Kill them all, and what they start meanwhile."""

    def gone() -> bool:
        for pid in (left := members(name, root=root)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_until(gone, timeout_seconds=20)


def remove(name: str, *, root: Path = _ROOT) -> None:
    """Delete the group and those below it in every hierarchy; they must be empty."""
    for group in _groups(name, root):
        with contextlib.suppress(OSError):
            group.rmdir()


def _groups(name: str, root: Path) -> Iterator[Path]:
    """Deepest first."""
    for hierarchy in _hierarchies(root):
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            yield Path(folder)


def _hierarchies(root: Path) -> list[Path]:
    """The one of version 2; with version 1 each controller's, and the unified one beside them."""
    if (root / "cgroup.controllers").is_file():
        return [root]
    found = (path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink())
    return [path for path in found if (path / "cgroup.procs").is_file()]
