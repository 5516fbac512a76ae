"""Objects that a change would delete and create again, and which of them may not be.

A replace of these is an outage or a loss: pods stop until new ones are ready, volumes lose their weights, a namespace
takes everything in it along. A policy is shown an object's new properties only, never its old ones, so this is asked of
what the engine plans, and reported in the form of a policy's finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from llmos.checks.findings import Finding
from llmos.engines.base import EngineAction
from planner.faults import Fault, UserFault

__all__ = ["GUARDED", "RULE", "refuse_replaces", "replace_findings"]

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

    Args:
        actions: what an engine would do; a replaced object has a ``delete`` action that says which fields force it.
        allowed: names such as ``Deployment/chat``.
    """
    return tuple(
        _finding(action)
        for action in actions
        if action.action == "delete" and action.replaces and action.kind in GUARDED
        and f"{action.kind}/{action.name}" not in allowed
    )  # fmt: skip


def refuse_replaces(actions: Iterable[EngineAction], *, allowed: Collection[str]) -> None:
    """Raise for replaces that are not allowed.

    Raises:
        UserFault: one fault for each.
    """
    rows = replace_findings(actions, allowed=allowed)
    if rows:
        raise UserFault(
            Fault(what=f"policy {row.rule}: {row.message}", where=f"{row.object}: {row.path}", fix=row.fix)
            for row in rows
        )


def _finding(action: EngineAction) -> Finding:
    fields = ", ".join(action.replaces)
    name = f"{action.kind}/{action.name}"
    return Finding(
        rule=RULE,
        level="mandatory",
        object="/".join(filter(None, (action.kind, action.namespace, action.name))),
        path=action.replaces[0],
        message=f"{fields} cannot be changed in place, so the object would be deleted and created again: "
        f"{GUARDED[action.kind]}",
        fix=f"keep {fields} as it is, or allow it by name: `--allow-replace {name}`, or `allow_replace: [{name}]` in "
        "the stack file",
        why="A replace of a workload, a volume or a namespace is an outage or a loss.",
    )
