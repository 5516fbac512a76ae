"""What the tables of calls share: tags, spelling, and calls whose parameters are inputs under other names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["SELF", "Inputs", "Makers", "Row", "one", "spec_of", "tagged", "tags_of", "up"]

Inputs = Mapping[str, Any]
SELF = "self-0123456789abcdef0"
"""Stands for the id of what an earlier call of the same resource made."""


def up(value: Any) -> Any:
    """Keys with a capital first letter, as EC2 and CloudWatch spell them, all the way down."""
    if isinstance(value, Mapping):
        return {key[:1].upper() + key[1:]: up(item) for key, item in value.items()}
    return [up(item) for item in value] if isinstance(value, list) else value


def tags_of(inputs: Inputs, *, key: str = "Key", value: str = "Value") -> list[dict[str, str]] | None:
    tags = inputs.get("tags") or {}
    return [{key: name, value: text} for name, text in sorted(tags.items())] or None


def spec_of(inputs: Inputs, kind: str) -> list[dict[str, Any]] | None:
    tags = tags_of(inputs)
    return [{"ResourceType": kind, "Tags": tags}] if tags else None


Row = tuple[str, str, dict[str, Any]]
Makers = dict[str, Callable[[Inputs], Iterator[Row]]]


def one(service: str, operation: str, **names: str) -> Callable[[Inputs], Iterator[Row]]:
    """A call whose parameters are inputs under other names: ``API=input``."""

    def made(i: Inputs) -> Iterator[Row]:
        yield service, operation, {name: i.get(key) for name, key in names.items()}

    return made


def tagged(service: str, operation: str, kind: str, **names: str) -> Callable[[Inputs], Iterator[Row]]:
    def made(i: Inputs) -> Iterator[Row]:
        yield service, operation, {**{n: i.get(key) for n, key in names.items()}, "TagSpecifications": spec_of(i, kind)}

    return made
