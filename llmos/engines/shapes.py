"""Objects in the shapes that comparing and applying them needs. Pure functions of plain data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from llmos.engines.applyset import MEMBER_LABEL
from llmos.kube import KubeObject, identity
from llmos.synth import UNKNOWN

__all__ = ["comparable", "going", "has_unknown", "in_namespace", "keep_ignored", "masked", "stand_in"]

# Written by the server, not by us; they differ between a live object and a dry run without meaning a change.
_SERVER_FIELDS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")
# A digest of the right form, for asking the server about an object whose image is not built yet. Never applied.
_STAND_IN = "sha256:" + "0" * 64


def keep_ignored(
    item: KubeObject, live: Mapping[tuple[str, str, str], KubeObject], paths: Sequence[str]
) -> KubeObject:
    """The object with the live values of the properties that the program leaves to others (``ignore_changes``)."""
    key = identity(item)
    if key not in live or not paths:
        return item
    kept = copy.deepcopy(item)
    for path in paths:
        *parents, last = path.split(".")
        target, source = kept, live[key]
        for part in parents:
            target, source = target.setdefault(part, {}), source.get(part, {})
        if last in source:
            target[last] = copy.deepcopy(source[last])
        else:
            target.pop(last, None)
    return kept


def comparable(item: KubeObject) -> KubeObject:
    """What of an object is anybody's wish: without the server's own fields, status and the ApplySet's marks."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in _SERVER_FIELDS}
    metadata["labels"] = {k: v for k, v in metadata.get("labels", {}).items() if k != MEMBER_LABEL}
    return {**{k: v for k, v in item.items() if k != "status"}, "metadata": metadata}


def going(item: KubeObject) -> bool:
    """Whether the object is marked for deletion and only waits for a finalizer."""
    return "deletionTimestamp" in item["metadata"]


def has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value == UNKNOWN


def stand_in(value: Any) -> Any:
    """The value with a digest of the right form wherever an image is not built yet."""
    if isinstance(value, Mapping):
        return {key: stand_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return [stand_in(item) for item in value]
    return f"not-built-yet@{_STAND_IN}" if value == UNKNOWN else value


def in_namespace(item: KubeObject, namespace: str) -> KubeObject:
    if "namespace" not in item["metadata"]:
        return item
    return {**item, "metadata": {**item["metadata"], "namespace": namespace}}


def masked(item: KubeObject) -> KubeObject:
    if item["kind"] != "Secret":
        return item
    return {**item, **{key: "(not shown)" for key in ("data", "stringData") if key in item}}
