"""Asking rules without a process: a good stack, edits to it, and what a rule makes of the result."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from policies.rules import RULES
from policies.rules._evaluate import evaluate
from policies.rules._model import Resource, Stack
from policies.rules._node import UNKNOWN, Node
from policies.rules._rule import Rule

__all__ = ["BY_ID", "DELETE", "PROTECT", "UNKNOWN", "Found", "ask", "edited", "good_stack", "resource"]

BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
DELETE = object()
PROTECT = "$protect"
"""Path of an edit that sets or lifts the resource option instead of a property."""
_STEP = re.compile(r'\["([^"]*)"\]|\[(\d+)\]|([^.\[\]]+)')


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a rule found: rows of (object, path, text), and the paths it could not check."""

    rows: tuple[tuple[str, str, str], ...]
    unchecked: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not self.rows and not self.unchecked


@cache
def _documents() -> tuple[dict[str, Any], ...]:
    text = Path(__file__).with_name("good_stack.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load_all(text))


def good_stack() -> dict[str, dict[str, Any]]:
    """The good stack's resources by name: ``Kind/name`` for Kubernetes, the logical name for the rest; safe to
    change."""
    found = {}
    for document in copy.deepcopy(_documents()):
        name = document["name"] if "type" in document else f"{document['kind']}/{document['metadata']['name']}"
        found[name] = document
    return found


def resource(name: str, document: Mapping[str, Any]) -> Resource:
    """A document as the rules see it; protected unless its own key ``$protect`` says otherwise."""
    protect = document.get(PROTECT, True)
    document = {key: value for key, value in document.items() if key != PROTECT}
    if "type" in document and "kind" not in document:
        root = Node(document["properties"])
        return Resource(type=document["type"], urn=f"urn::{name}", name=name, root=root, protect=protect)
    version = document["apiVersion"]
    token = f"kubernetes:{version if '/' in version else f'core/{version}'}:{document['kind']}"
    return Resource(type=token, urn=f"urn::{name}", name=name, root=Node(document), protect=protect)


def edited(*edits: tuple[str, str, Any]) -> dict[str, dict[str, Any]]:
    """The good stack with properties changed: (resource, path, value). An empty path replaces or adds the resource."""
    stack = good_stack()
    for name, path, value in edits:
        if path == PROTECT:
            stack[name][PROTECT] = value
        elif path:
            holder = stack[name]["properties"] if "properties" in stack[name] else stack[name]
            _set(holder, path, value)
        elif value is DELETE:
            del stack[name]
        else:
            stack[name] = value
    return stack


def _set(holder: Any, path: str, value: Any) -> None:
    keys = [int(index) if index else quoted or plain for quoted, index, plain in _STEP.findall(path)]
    for key in keys[:-1]:
        holder = holder.setdefault(key, {}) if isinstance(holder, dict) else holder[key]
    if value is DELETE:
        del holder[keys[-1]]
    elif isinstance(holder, list) and keys[-1] == len(holder):
        holder.append(value)
    else:
        holder[keys[-1]] = value


def ask(rule_id: str, stack: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any] | None = None) -> Found:
    """What a rule says about a stack."""
    rule = BY_ID[rule_id]
    resources = tuple(resource(name, document) for name, document in stack.items())
    whole = Stack(resources=resources)
    subjects = [None] if rule.stack_cells is not None else list(resources)
    rows: list[tuple[str, str, str]] = []
    unchecked: list[str] = []
    for subject in subjects:
        mine = whole if subject is None else Stack(resources=(subject,))
        outcome = evaluate(rule, resource=subject, stack=mine, config=dict(config or {}))
        rows += [(_line(text, "Object"), _line(text, "At"), text) for text, _ in outcome.reports]
        unchecked += [path for _, path in outcome.unchecked]
    return Found(rows=tuple(rows), unchecked=tuple(unchecked))


def _line(text: str, label: str) -> str:
    found = re.search(rf"^  {label}: (.*)$", text, re.MULTILINE)
    return found[1] if found else ""
