"""Objects that exist although the stack has not created them, and which of them it may take over.

Taken over, an object is changed by `up` and deleted by `destroy`. That is never a surprise: what is not named is
refused, in the form of a policy's finding.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable

from llmos.checks.findings import Finding
from llmos.engines.base import EngineAction
from llmos.kube import KubeObject

__all__ = ["RULE", "adoption_findings", "may_adopt"]

RULE = "no-adopt"
_LEAVE = {
    "Namespace": "`namespace: {create: false}` leaves it as it is",
    "Service": "`endpoint: {create: false}` leaves an application's Service as it is",
    "PersistentVolumeClaim": "`weights: {claim: {name: ...}}` uses it and leaves it as it is",
}


def may_adopt(item: KubeObject, *, allowed: Collection[str]) -> bool:
    """Whether an object is among those that may be taken over: ``Service/chat``, or patterns such as ``Service/*``."""
    return _is_allowed(item["kind"], item["metadata"]["name"], allowed)


def adoption_findings(actions: Iterable[EngineAction], *, allowed: Collection[str]) -> tuple[Finding, ...]:
    """One mandatory finding for each object that would be taken over and is not allowed by name."""
    return tuple(
        _finding(action) for action in actions
        if action.adopts and not _is_allowed(action.kind, action.name, allowed)
    )  # fmt: skip


def _is_allowed(kind: str, name: str, allowed: Collection[str]) -> bool:
    # A Secret of ours holds a key made at random, which would take the place of the one that callers use.
    return kind != "Secret" and any(fnmatch.fnmatchcase(f"{kind}/{name}", pattern) for pattern in allowed)


def _finding(action: EngineAction) -> Finding:
    name = f"{action.kind}/{action.name}"
    take = f"choose another name, or take it over: `--adopt {name}`, or `adopt: [{name}]` in the stack file"
    if action.kind == "Secret":
        take = f"use it as it is: `secrets: {{API_KEYS: {{secret: {action.name}, key: ...}}}}`"
    leave = f"{_LEAVE[action.kind]}; else " if action.kind in _LEAVE else ""
    return Finding(
        rule=RULE,
        level="mandatory",
        object="/".join(filter(None, (action.kind, action.namespace, action.name))),
        path="",
        message="it exists already and is not this stack's: `up` would change it, and `destroy` would delete it",
        fix=f"{leave}{take}",
        why="What others made is theirs until somebody says otherwise.",
    )
