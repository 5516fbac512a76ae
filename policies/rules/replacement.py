"""Replaces: what would be an outage or a loss is protected by the engine, or named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ._budget import STACK_TYPE
from ._model import Resource, Stack
from ._node import Node
from ._rule import Context, Rule, Violation

__all__ = ["RULES"]

_KINDS = ("Deployment", "PersistentVolumeClaim", "Namespace")
_REPOSITORY = ":Repository"


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """Something whose replace costs, and the names that its stack lets go. ``name`` is a node, as it may be unknown."""

    resource: Resource
    kind: str
    name: Node
    object: str
    allowed: Node

    @property
    def urn(self) -> str:
        return self.resource.urn


def _kept(stack: Stack) -> Iterator[_Kept]:
    """Only in a stack of this program: manifests and other stacks have no one who lists names."""
    root = next((resource.root for resource in stack.resources if resource.type == STACK_TYPE), None)
    if root is None:
        return
    allowed = root.get("allowReplace")
    for found in stack.of_kind(*_KINDS):
        name = found.root.get("metadata", "name")
        yield _Kept(resource=found.resource, kind=found.kind, name=name, object=found.object, allowed=allowed)
    for resource in stack.resources:
        if resource.type.endswith(_REPOSITORY):
            name = resource.root.get("name")
            yield _Kept(resource=resource, kind="Repository", name=name, object=resource.object, allowed=allowed)


def _protected(kept: _Kept, context: Context) -> Iterable[Violation]:
    if kept.resource.protect:
        return
    allowed = {node.text for node in kept.allowed.elements()}
    if f"{kept.kind}/{kept.name.value}" not in allowed:
        yield Violation(path="", message="the engine may delete it and create it again, because it is not protected")


RULES = (
    Rule(
        id="replace-protection",
        title="Workloads, volumes, namespaces and repositories are protected from being replaced.",
        why="A replace deletes first: pods stop, weights and images are gone. A policy sees no old state, so the "
        "engine's own protection has to refuse it.",
        fix="set `protect` on the resource, or name it under `allow_replace` in the stack file for this change",
        sources=("https://www.pulumi.com/docs/iac/concepts/options/protect/",),
        stack_cells=_kept,
        checks=(_protected,),
    ),
)
