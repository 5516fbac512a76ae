"""Reading a stack file before it is known to be one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["map_at"]


def map_at(raw: Any, *keys: str) -> Mapping[str, Any]:
    """The mapping under these keys; an empty one where there is none, whatever stands there instead."""
    for key in keys:
        raw = raw.get(key) if isinstance(raw, Mapping) else None
    return raw if isinstance(raw, Mapping) else {}
