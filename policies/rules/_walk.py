"""Finding things in properties of which not everything is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._node import UNKNOWN, Node

__all__ = ["kind_of", "known_text", "pod_templates"]


def known_text(node: Node, *keys: str) -> str | None:
    """A text below a node; None where it is absent or not known."""
    raw = node.raw
    for key in keys:
        raw = raw.get(key) if isinstance(raw, dict) else None
    return raw if isinstance(raw, str) else None


def kind_of(item: Node, default: str) -> str:
    """The kind of an element of a List, which need not repeat it."""
    return known_text(item, "kind") or default


def pod_templates(node: Node) -> Iterator[Node]:
    """Every mapping that has a pod specification: ``containers``, directly or under ``spec``."""
    if isinstance(node.raw, dict):
        spec = node.raw.get("spec")
        if _has_containers(node.raw) or (isinstance(spec, dict) and _has_containers(spec)):
            yield node
            return
        for _, child in node.items():
            yield from pod_templates(child)
    elif isinstance(node.raw, list):
        for child in node.elements():
            yield from pod_templates(child)


def _has_containers(mapping: dict[str, Any]) -> bool:
    containers = mapping.get("containers")
    return isinstance(containers, list) or containers is UNKNOWN
