"""What the readers share: their form, and one item among several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["Found", "Inputs", "Readers", "named"]

Found = Iterator[tuple[str, Any, Any]]
Inputs = Mapping[str, Any]
Readers = dict[str, Callable[[Any, Inputs], Found]]


def named(items: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The one item with these fields."""
    (found,) = [item for item in items if all(item.get(key) == value for key, value in fields.items())]
    return found
