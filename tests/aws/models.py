"""Parameters of API calls, held against the service models that botocore ships: what AWS publishes about each API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from tests.aws.calls import Call

__all__ = ["problems"]

# Some models carry patterns in Java's dialect, with Unicode classes that Python does not know.
_UNICODE = {r"\p{L}": "a-zA-Z", r"\p{Z}": " ", r"\p{N}": "0-9", r"\p{M}": "", r"\p{S}": "+=", r"\p{P}": "-_.:/@"}


@cache
def _service(name: str) -> ServiceModel:
    loader = botocore.session.get_session().get_component("data_loader")
    return ServiceModel(loader.load_service_model(name, "service-2"), service_name=name)


def problems(call: Call) -> list[str]:
    """What the model says against a call: missing and unknown members, types, lengths and ranges (botocore's own
    validator), then enums, patterns and upper bounds, which that leaves to the service."""
    shape = _service(call.service).operation_model(call.operation).input_shape
    if shape is None:
        return ["the operation takes no parameters"] if call.params else []
    report = ParamValidator().validate(call.params, shape)
    return [*report.generate_report().splitlines(), *_bounds(call.params, shape, call.operation)]


def _bounds(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for name in value.keys() - shape.members.keys():
            yield f"{path}: unknown member {name}"
        for name in value.keys() & shape.members.keys():
            yield from _bounds(value[name], shape.members[name], f"{path}.{name}")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _length(len(value), shape, path)
        for number, item in enumerate(value):
            yield from _bounds(item, shape.member, f"{path}[{number}]")
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        yield from _length(len(value), shape, path)
        for key, item in value.items():
            yield from _bounds(key, shape.key, f"{path}.{key}")
            yield from _bounds(item, shape.value, f"{path}.{key}")
    elif isinstance(value, str):
        yield from _length(len(value), shape, path)
        allowed, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if allowed and value not in allowed:
            yield f"{path}: {value} is none of {', '.join(allowed)}"
        if pattern and not re.fullmatch(*_python(pattern, value)):
            yield f"{path}: {value} does not match {pattern}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _length(value, shape, path)


def _length(size: float, shape: Shape, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{path}: {size} is less than {low}"
    if high is not None and size > high:
        yield f"{path}: {size} is more than {high}"


def _python(pattern: str, value: str) -> tuple[str, str, re.RegexFlag]:
    """A pattern of Java's for ``re.fullmatch``. Java allows flags anywhere."""
    for java, python in _UNICODE.items():
        pattern = pattern.replace(java, python)
    flags = re.DOTALL | (re.IGNORECASE if "(?i)" in pattern else re.NOFLAG)
    return re.sub(r"\(\?[is]+\)", "", pattern), value, flags
