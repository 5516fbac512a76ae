"""Pydantic's errors as the program's faults: one per error, with YAML path, value, allowed range and nearest key."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from planner.faults import Fault, nearest
from planner.settings._base import looks_like_secret

__all__ = ["from_validation_error"]

_SHOWN_LENGTH = 60
_NUMBER_BRANCHES = frozenset({"int", "constrained-int", "bool"})
# Models that may stand where a plain number or a yes may, too.
_MAP_BRANCHES = frozenset({"ApplicationReplicas", "Lengths", "ModelReplicas", "Spot"})
# Maps whose values a person could have filled with a credential by mistake; their values are never repeated.
_HIDDEN_UNDER = frozenset({"env", "secrets", "token", "proxy", "pod_overrides", "extra_args"})


def from_validation_error(error: ValidationError, *, root: type[BaseModel], where: str) -> list[Fault]:
    """One fault per error, in the order of the file."""
    faults: dict[tuple[str, str], Fault] = {}
    for item in error.errors(include_url=False):
        if _of_other_branch(item):
            continue
        path = ".".join(_visible(root, item["loc"]))
        fault = _fault(item, root=root, where=f"{where}: {path}" if path else where)
        faults.setdefault((path, fault.what), fault)
    return list(faults.values())


def _of_other_branch(item: Any) -> bool:
    """Whether the error belongs to the branch of a union that the value was not meant for (a number against a map)."""
    branch = str(item["loc"][-1]) if item["loc"] else ""
    is_map = isinstance(item["input"], Mapping)
    if branch in _NUMBER_BRANCHES or branch.startswith("literal["):
        return is_map
    return item["type"] == "model_type" and any(name in branch for name in _MAP_BRANCHES) and not is_map


def _visible(annotation: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The path a person sees in the file: pydantic adds the names of union branches and ``[key]`` marks."""
    if not loc:
        return []
    part, rest = loc[0], loc[1:]
    if part == "[key]":
        return _visible(annotation, rest)
    for member in _members(annotation):
        name = getattr(member, "__name__", "")
        if (name and _is_branch(str(part), name)) or (member in (int, bool) and part in _NUMBER_BRANCHES):
            return _visible(member, rest)
    return [str(part), *_visible(_child(annotation, part), rest)]


def _is_branch(part: str, name: str) -> bool:
    """Whether a part of a location names a model: plainly, or as ``function-after[_check(), Name]`` with validators."""
    return part == name or (part.startswith("function-") and part.endswith(f" {name}]"))


def _members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union (Annotated stripped); a single annotation is its own only member."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(member for part in get_args(annotation) for member in _members(part))
    return (annotation,)


def _child(annotation: Any, part: int | str) -> Any:
    """The annotation of a field, map value or list item; ``None`` where there is none."""
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            for name, field in member.model_fields.items():
                if part in (name, field.alias):
                    return field.annotation
        elif get_origin(member) in (dict, tuple, list):
            arguments = get_args(member)
            return arguments[1] if get_origin(member) is dict else arguments[0]
    return None


def _keys_at(annotation: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a map of the file may have at a location."""
    for part in _visible(annotation, loc):
        annotation = _child(annotation, part)
    models = [m for m in _members(annotation) if isinstance(m, type) and issubclass(m, BaseModel)]
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _fault(item: Any, *, root: type[BaseModel], where: str) -> Fault:
    kind, loc = item["type"], item["loc"]
    if kind == "extra_forbidden":
        hint = nearest(str(loc[-1]), _keys_at(root, loc[:-1]))
        return Fault(what=f"unknown key `{loc[-1]}`", where=where, nearest=hint, fix="rename or remove the key")
    if kind == "missing":
        return Fault(what=f"`{loc[-1]}` is missing", where=where, fix=f"add the key `{loc[-1]}`")
    message = item["msg"].removeprefix("Value error, ")
    if message.startswith(("Input ", "String ", "Tuple ", "Dictionary ")):
        message = message[:1].lower() + message[1:]
    hint = ""
    if kind == "literal_error" and isinstance(item["input"], str):
        allowed = item["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        hint = nearest(item["input"], allowed)
    return Fault(what=f"{_shown(loc, item['input'])}{message}", where=where, nearest=hint, fix=_fix(kind, message))


def _fix(kind: str, message: str) -> str:
    if "plain text" in message:
        return "put the value into a Kubernetes Secret and name it: secrets: {NAME: {secret: <secret>, key: <key>}}"
    if "digest" in message:
        return "find the digest of the tag (docker buildx imagetools inspect IMAGE:TAG) and write IMAGE@sha256:<digest>"
    if kind == "string_pattern_mismatch":
        return "write a value of that form"
    return "change the file as the message says"


def _shown(loc: tuple[int | str, ...], value: Any) -> str:
    """The offending value when it is short and no secret; maps and lists are not repeated."""
    if not isinstance(value, str | int | float):
        return ""
    text = str(value)
    if looks_like_secret(str(loc[-1]), text) or _HIDDEN_UNDER & {str(part) for part in loc}:
        return "(value not shown) "
    return f"`{text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + '…'}`: "
