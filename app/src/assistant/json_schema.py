"""Bounds on JSON schemas of callers.

Engines turn them into grammars: llama.cpp in time cubic in the number of optional properties, and with recursion that
crashes the process when a schema refers to nothing but itself (both seen with release 11549).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["check_schema"]

_MOST_VALUES = 4000
_MOST_LEVELS = 48
_MOST_KEYS = 150
_REFERENCE = re.compile(r"#(?:/(\$defs|definitions)/([^/]+))?")
# These speak of the same value as the schema that holds them; all other keywords lead to a part of it.
_SAME_VALUE = ("allOf", "anyOf", "oneOf")


def check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, when an engine can be given it.

    Raises:
        ValueError: it is too large, too deep, refers outside itself, or is defined by itself alone.
    """
    for count, (value, level) in enumerate(_walk(schema), start=1):
        if count > _MOST_VALUES:
            raise ValueError(f"the schema has more than {_MOST_VALUES} values")
        if level > _MOST_LEVELS:
            raise ValueError(f"the schema is nested deeper than {_MOST_LEVELS} levels")
        if isinstance(value, dict):
            if len(value) > _MOST_KEYS:
                raise ValueError(f"an object of the schema has more than {_MOST_KEYS} keys")
            if isinstance(value.get("$ref"), str):
                _resolve(value["$ref"], schema)
    # A circle of references passes the root or a definition: nothing else can be referred to.
    for start in (schema, *_definitions(schema, "$defs"), *_definitions(schema, "definitions")):
        _refuse_alias_of_itself(start, schema)
    return schema


def _walk(schema: dict[str, Any]) -> Iterator[tuple[Any, int]]:
    """Every value inside, with its depth; without recursion, which a deep schema would exhaust."""
    rest: list[tuple[Any, int]] = [(schema, 1)]
    while rest:
        value, level = rest.pop()
        yield value, level
        if isinstance(value, dict | list):
            inside = value.values() if isinstance(value, dict) else value
            rest += [(one, level + 1) for one in inside]


def _refuse_alias_of_itself(start: dict[str, Any], root: dict[str, Any]) -> None:
    """Recursion through a property or an item ends with the text; through references alone it never does."""
    seen: set[int] = set()
    rest = [start]
    while rest:
        current = rest.pop()
        aliases = [one for keyword in _SAME_VALUE for one in _schemas(current.get(keyword))]
        if isinstance(current.get("$ref"), str):
            aliases.append(_resolve(current["$ref"], root))
        if any(one is start for one in aliases):
            raise ValueError("a schema is defined by nothing but itself")
        rest += [one for one in aliases if id(one) not in seen]
        seen |= {id(one) for one in aliases}


def _definitions(root: dict[str, Any], keyword: str) -> list[dict[str, Any]]:
    holder = root.get(keyword)
    return _schemas(list(holder.values())) if isinstance(holder, dict) else []


def _schemas(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _resolve(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    match = _REFERENCE.fullmatch(reference)
    target: Any = None
    if match:
        definitions = root.get(match[1]) if match[1] else None
        target = root if not match[1] else definitions.get(match[2]) if isinstance(definitions, dict) else None
    if not isinstance(target, dict):
        raise ValueError("a $ref must be # or #/$defs/NAME, and NAME must be defined")
    return target
