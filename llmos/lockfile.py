"""Writing a lock: all or nothing, the same bytes for the same content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmos.files import write_whole

__all__ = ["write_lock"]


def write_lock(path: Path, content: Mapping[str, Any]) -> bool:
    """Write a lock, and say whether that changed anything. A process that is killed leaves the old lock.

    What such a process left beside it is removed by the next one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_whole(path, text)
    return True
