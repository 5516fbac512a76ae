"""Writing a lock: all or nothing, the same bytes for the same content."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["write_lock"]


def write_lock(path: Path, content: Mapping[str, Any]) -> bool:
    """Write a lock, and say whether that changed anything. A process that is killed leaves the old lock.

    What such a process left beside it is removed by the next one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(made)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner may read; a lock is as public as the stack file beside it.
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return True
