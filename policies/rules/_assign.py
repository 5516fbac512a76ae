"""Changing one property of a resource in a remediation, in place, so that values around it keep their secret marks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["assign", "keys_of"]

_STEP = re.compile(r'\["([^"]*)"\]|\[(\d+)\]|([^.\[\]]+)')


def assign(properties: Any, keys: tuple[str | int, ...], value: Any) -> None:
    """Set a nested property; missing mappings on the way are made. The SDK's proxies carry marks over by themselves."""
    holder = properties
    for key in keys[:-1]:
        if isinstance(holder, Mapping) and (key not in holder or holder[key] is None):
            holder[key] = {}
        holder = holder[key]
    holder[keys[-1]] = value


def keys_of(path: str) -> tuple[str | int, ...]:
    """The keys of a property path such as ``spec.containers[0].env``."""
    return tuple(int(index) if index else quoted or plain for quoted, index, plain in _STEP.findall(path))
