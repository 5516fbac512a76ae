"""Reading a resource's properties without ever mistaking "unknown" for "absent".

At preview the engine does not know values that depend on resources that do not exist yet. A :class:`Node` walks plain
data and raises :class:`UnknownAt` as soon as a rule depends on such a value, so that the rule can say what it could not
check instead of passing it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi_policy.proxy import UnknownValueError

__all__ = ["UNKNOWN", "Node", "UnknownAt", "plain"]


class _Unknown:
    """The one value that stands for "not known at preview"."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


class UnknownAt(Exception):
    """A rule needs a value that is not known yet; ``path`` says which."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def plain(value: Any) -> Any:
    """Copy the SDK's proxies into dicts and lists in which an unknown value is :data:`UNKNOWN`."""
    if isinstance(value, Mapping):
        return {key: _read(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_read(value, index) for index in range(len(value))]
    return value


def _read(holder: Any, key: Any) -> Any:
    try:
        return plain(holder[key])
    except UnknownValueError:
        return UNKNOWN


class Node:
    """A value of a resource together with its path. Absent fields are nodes whose value is None."""

    __slots__ = ("_keys", "_parent", "raw")

    def __init__(self, raw: Any, keys: tuple[str | int, ...] = (), parent: Node | None = None) -> None:
        self.raw = raw
        self._keys = keys
        self._parent = parent

    @property
    def path(self) -> str:
        """Where the value stands, e.g. ``spec.containers[0].image``; put together only when a finding needs it."""
        path = self._parent.path if self._parent is not None else ""
        for key in self._keys:
            path = f"{path}[{key}]" if isinstance(key, int) else _join(path, key)
        return path

    @property
    def value(self) -> Any:
        """The value; raises UnknownAt where it is not known."""
        if self.raw is UNKNOWN:
            raise UnknownAt(self.path)
        return self.raw

    def get(self, *keys: str) -> Node:
        """The field below, by one or more keys; a missing field, or one of something that has no fields, is empty."""
        raw = self.raw
        for number, key in enumerate(keys):
            if raw is UNKNOWN:
                raise UnknownAt(Node(raw, keys[:number], self).path)
            raw = raw.get(key) if isinstance(raw, dict) else None
        return Node(raw, keys, self)

    def elements(self) -> Iterator[Node]:
        """The elements of a list; nothing where there is no list."""
        value = self.value
        if isinstance(value, list):
            for index, element in enumerate(value):
                yield Node(element, (index,), self)

    def items(self) -> Iterator[tuple[str, Node]]:
        """The fields of a mapping; nothing where there is no mapping."""
        value = self.value
        if isinstance(value, dict):
            for key, element in value.items():
                yield str(key), Node(element, (str(key),), self)

    @property
    def exists(self) -> bool:
        """Whether a value is set (an explicit null counts as not set, as it does for Kubernetes)."""
        return self.value is not None

    @property
    def text(self) -> str | None:
        """The value if it is text."""
        value = self.value
        return value if isinstance(value, str) else None

    @property
    def flag(self) -> bool | None:
        """The value if it is a boolean; "true" and "false" in text count, as some CRDs and Pulumi inputs write them."""
        value = self.value
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None

    @property
    def number(self) -> float | None:
        """The value if it is a number, also one written as text."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            return float(value)
        except ValueError:
            return None


def _join(path: str, key: str) -> str:
    if any(character in key for character in "./[]"):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key
