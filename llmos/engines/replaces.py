"""Objects that a change would delete and create again, and which of them may not be.

A replace of these is an outage or a loss: pods stop until new ones are ready, volumes lose their weights, a namespace
takes everything in it along. A policy is shown an object's new properties only, never its old ones, so this is asked of
what the engine plans, and reported in the form of a policy's finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from llmos.checks.findings import Finding
from llmos.engines.base import EngineAction

__all__ = ["GUARDED", "RULE", "replace_findings"]

RULE = "no-replace"
GUARDED = {
    "Deployment": "all its pods stop until the new ones are ready",
    "PersistentVolumeClaim": "its volume goes, and with it the weights that it holds",
    "Namespace": "everything in it goes, also what others put there",
    "Repository": "every image in it goes, also those that run",
}
"""Kinds that are never replaced unasked, and what is lost."""


def replace_findings(actions: Iterable[EngineAction], *, allowed: Collection[str]) -> tuple[Finding, ...]:
    """One mandatory finding for each guarded object that would be replaced and is not allowed by name.

    A namespace is not deleted either while its stack lives: `create: false`, said later, hands it over to nobody.

    Args:
        actions: what an engine would do; a replaced object has a ``delete`` action that says which fields force it.
        allowed: names such as ``Deployment/chat``.
    """
    return tuple(
        _finding(action)
        for action in actions
        if action.action == "delete" and action.kind in GUARDED and (action.replaces or action.kind == "Namespace")
        and f"{action.kind}/{action.name}" not in allowed
    )  # fmt: skip


def _finding(action: EngineAction) -> Finding:
    fields = ", ".join(action.replaces) or "namespace.create"
    name = f"{action.kind}/{action.name}"
    return Finding(
        rule=RULE,
        level="mandatory",
        object="/".join(filter(None, (action.kind, action.namespace, action.name))),
        path=action.replaces[0] if action.replaces else "",
        message=(
            f"{fields} cannot be changed in place, so the object would be deleted and created again: "
            if action.replaces else "the stack no longer has it, so it would be deleted: "
        ) + GUARDED[action.kind],
        fix=f"keep {fields} as it is, or allow it by name: `--allow-replace {name}`, or `allow_replace: [{name}]` in "
        "the stack file",
        why="A replace of a workload, a volume or a namespace is an outage or a loss.",
    )
