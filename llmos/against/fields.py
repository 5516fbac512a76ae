"""Which fields of two objects differ, by path. Lists of named things are compared by name, as Kubernetes does it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmos.synth import UNKNOWN

__all__ = ["ABSENT", "FieldChange", "differences", "shown"]

ABSENT = ""
_LONGEST = 80
_DIGEST = re.compile(r"(?P<name>\S+)@(?P<digest>sha256:[0-9a-f]{12})[0-9a-f]{52}")


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One field; a side is empty where the field is absent there."""

    path: str
    before: str
    after: str


def differences(before: Any, after: Any, path: str = "", *, longest: int = _LONGEST) -> Iterator[FieldChange]:
    """The fields that differ, in the order of their paths; values are cut at ``longest`` characters."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}, key=str):
            below = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key), after.get(key), below, longest=longest)
    elif _named(before) and _named(after):
        old, new = ({item["name"]: item for item in side} for side in (before, after))
        for name in sorted({*old, *new}):
            yield from differences(old.get(name), new.get(name), f"{path}[{name}]", longest=longest)
        if old == new:
            yield FieldChange(path=path, before="in another order", after="reordered")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{path}[{index}]", longest=longest)
    else:
        yield FieldChange(path=path, before=shown(before, longest), after=shown(after, longest))


def shown(value: Any, longest: int = _LONGEST) -> str:
    """A value on one line, cut where it is long; of a digest the beginning is kept, which tells it from another."""
    if value is None:
        return ABSENT
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.replace(UNKNOWN, "(not known yet)").split())
    if len(text) > longest and (found := _DIGEST.fullmatch(text)):
        name, digest = found["name"], found["digest"]
        room = longest - len(digest) - 2
        return f"{name if len(name) <= room else '…' + name[-room + 1 :]}@{digest}…"
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _named(value: Any) -> bool:
    """Whether this is a list of things with names of their own."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return False
    names = [item.get("name") if isinstance(item, Mapping) else None for item in value]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
