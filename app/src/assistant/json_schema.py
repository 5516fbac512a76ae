"""JSON schemas of callers: the part of the language that every engine can turn into a grammar without harm.

llama.cpp (release 11549) loops or crashes the process on regular expressions like ``a{5,2}``, on large repetitions, on
references in a circle, and takes time cubic in the number of optional properties. So schemas are held to a subset,
close to the one of the OpenAI API, and everything else is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

__all__ = ["check_schema"]

_MOST_SCHEMAS = 500
_MOST_LEVELS = 32
_MOST_ENTRIES = 150
_LARGEST_SIZE = 1000
_LARGEST_NUMBER = 2**53
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
# These speak of the same value as the schema that holds them; the others lead to a part of it.
_ALTERNATIVES = ("anyOf", "oneOf")
_LISTS = (*_ALTERNATIVES, "prefixItems")
_MAPS = ("properties", "$defs", "definitions")
_RANGES = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum"))


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_SIZE


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST_NUMBER


def _names(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_ENTRIES and all(isinstance(one, str) for one in value)


def _types(value: list[Any]) -> bool:
    return 0 < len(value) <= len(_TYPES) and all(isinstance(one, str) and one in _TYPES for one in value)


_KEYWORDS: dict[str, Callable[[Any], bool]] = {
    "type": lambda value: _types(value if isinstance(value, list) else [value]),
    "enum": lambda value: isinstance(value, list) and 0 < len(value) <= _MOST_ENTRIES and all(map(_scalar, value)),
    "const": _scalar,
    "required": _names,
    "$ref": lambda value: isinstance(value, str),
    "format": lambda value: value in ("date", "time", "date-time", "uuid"),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _size),
    **dict.fromkeys(("minimum", "maximum"), _number),
    **dict.fromkeys(("title", "description", "$schema", "default", "examples"), lambda _: True),
    **dict.fromkeys(_LISTS, lambda value: isinstance(value, list) and 0 < len(value) <= _MOST_ENTRIES),
    **dict.fromkeys(_MAPS, lambda value: isinstance(value, dict) and len(value) <= _MOST_ENTRIES),
    "items": lambda value: isinstance(value, dict),
    "additionalProperties": lambda value: isinstance(value, bool | dict),
}


def check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, when an engine can be given it.

    Raises:
        ValueError: it uses an unsupported keyword or value, is too large or too deep, refers outside itself, or is
            defined by nothing but itself.
    """
    references = _definitions(schema)
    for count, (part, level) in enumerate(_parts(schema), start=1):
        if count > _MOST_SCHEMAS or level > _MOST_LEVELS:
            raise ValueError(f"the schema has more than {_MOST_SCHEMAS} parts or {_MOST_LEVELS} levels")
        if not isinstance(part, dict):
            raise ValueError("a part of the schema is not an object")
        _check_keywords(part)
        if "$ref" in part and part["$ref"] not in references:
            raise ValueError("a $ref must be # or #/$defs/NAME, and NAME must be defined")
    try:
        TopologicalSorter({name: _aliases(target) for name, target in references.items()}).prepare()
    except CycleError:
        raise ValueError("a schema is defined by nothing but itself") from None
    return schema


def _check_keywords(part: dict[str, Any]) -> None:
    for keyword, value in part.items():
        if keyword not in _KEYWORDS:
            known = ", ".join(sorted(_KEYWORDS))
            raise ValueError(f"the keyword {keyword[:40]!r} is not supported; these are: {known}")
        if not _KEYWORDS[keyword](value):
            raise ValueError(f"the value of {keyword!r} is malformed or beyond what is supported")
    for low, high in _RANGES:
        if low in part and high in part and part[low] > part[high]:
            raise ValueError(f"{low} exceeds {high}")


def _parts(schema: dict[str, Any]) -> Iterator[tuple[Any, int]]:
    """Every schema inside, with its depth; without recursion, which a deep schema would exhaust."""
    rest: list[tuple[Any, int]] = [(schema, 1)]
    while rest:
        part, level = rest.pop()
        yield part, level
        # The caller has checked the keywords of this part by now.
        inside = [one for keyword in _MAPS for one in part.get(keyword, {}).values()]
        inside += [one for keyword in _LISTS for one in part.get(keyword, [])]
        inside += [part[key] for key in ("items", "additionalProperties") if isinstance(part.get(key), dict)]
        rest += [(one, level + 1) for one in inside]


def _definitions(root: dict[str, Any]) -> dict[str, Any]:
    """What a schema may refer to, by the reference."""
    found: dict[str, Any] = {"#": root}
    for keyword in ("$defs", "definitions"):
        holder = root.get(keyword)
        if isinstance(holder, dict):
            found |= {f"#/{keyword}/{name}": target for name, target in holder.items()}
    return found


def _aliases(schema: dict[str, Any]) -> set[str]:
    """References to schemas of the very same value. Recursion through a property or an item ends with the text; through
    these alone it never does."""
    found: set[str] = set()
    rest = [schema]
    while rest:
        current = rest.pop()
        found |= {current["$ref"]} if "$ref" in current else set()
        rest += [one for keyword in _ALTERNATIVES for one in current.get(keyword, [])]
    return found
