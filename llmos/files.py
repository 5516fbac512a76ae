"""Writing files so that a process that is killed leaves the whole old text or the whole new one. Plain Python only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a text in UTF-8, with line feeds on every system.

    Args:
        path: the file; its folder must exist. What a killed writer left beside it is removed.
        text: the whole content.
        mode: permissions on systems that have them; 0o600 for what only its owner may read, from its first byte on.
    """
    for left in path.parent.glob(f".{path.name}.*.new"):
        left.unlink(missing_ok=True)
    # mkstemp makes files that only their owner may read.
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    temporary = Path(made)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
