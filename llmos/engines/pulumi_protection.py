"""The engine's own protection of what a deletion would lose, as the state keeps it.

The engine reads ``protect`` and ``retainOnDelete`` of an object that goes from the state, where they lag one update
behind the program. What a person has named is released there, so that one run is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from llmos.engines.pulumi_session import PulumiSession, read_state, write_state

__all__ = ["kept", "lift", "release_deployments", "release_named"]


def release_named(session: PulumiSession, names: Collection[str]) -> None:
    """Lift the protection of the objects with these names, e.g. ``Deployment/chat``."""
    if names:
        _rewrite(session, lambda resource: _name(resource) in names)


def release_deployments(session: PulumiSession) -> None:
    """Lift the protection of workloads, which hold nothing; volumes, namespaces and repositories keep theirs."""
    _rewrite(session, lambda resource: _name(resource).startswith("Deployment/"))


def kept(session: PulumiSession) -> list[str]:
    """What is left in the state because it is protected, e.g. ``Namespace/assistant``."""
    resources = read_state(session)["deployment"].get("resources") or []
    return sorted(_name(resource) for resource in resources if resource.get("protect") and _name(resource))


def lift(deployment: Mapping[str, Any], chosen: Callable[[Mapping[str, Any]], bool]) -> int:
    """Lift the protection of the chosen resources in an exported state, in place; returns how many had any."""
    lifted = 0
    for resource in deployment.get("resources") or []:
        if chosen(resource) and (resource.get("protect") or resource.get("retainOnDelete")):
            lifted += 1
            resource.pop("protect", None)
            resource.pop("retainOnDelete", None)
    return lifted


def _rewrite(session: PulumiSession, chosen: Callable[[Mapping[str, Any]], bool]) -> None:
    state = read_state(session)
    lifted = lift(state["deployment"], chosen)
    if lifted:
        session.run.progress(f"lifting the protection of {lifted} objects in the state")
        write_state(session, state)


def _name(resource: Mapping[str, Any]) -> str:
    """``Kind/name`` as people write it; empty for what has neither."""
    inputs = resource.get("inputs") or {}
    kind = resource["type"].rpartition(":")[2]
    metadata = inputs.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else inputs.get("name")
    return f"{kind}/{name}" if isinstance(name, str) else ""
