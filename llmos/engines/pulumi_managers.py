"""Field managers of what the Kubernetes provider has created.

It creates an object under one name and applies to it under another, to which it hands the fields over at the first
update, but not in the preview of that update: there the server still counts every field as set by somebody else too. A
field that goes then stays, and what excludes it is refused: a variable that becomes a Secret's, a volume of another
kind. So the fields are handed over before anything is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llmos.engines.kubectl import kube_of
from llmos.engines.pulumi_session import PulumiSession, read_state
from llmos.kube import Kube, KubeObject, identity
from planner.faults import EnvironmentFault

__all__ = ["hand_over"]

_CREATOR = "pulumi-kubernetes"
_KINDS = "deployments,services"
"""Kinds with lists that are merged by name; of others, nothing that a stack file can say excludes what was there."""
_Key = tuple[str, str, str]


def hand_over(session: PulumiSession) -> None:
    """Give the fields of the stack's new objects to the managers that its state names. Changes nothing but that note,
    and nothing where no cluster can be asked: the provider then says what is wrong."""
    run = session.run
    if run.kubectl is None:
        return
    kube = kube_of(run)
    try:
        found = kube.get(_KINDS, "-n", run.namespace, "--show-managed-fields")
    except EnvironmentFault:
        return
    waiting = {identity(item): item for item in found if _entry(item) is not None}
    if not waiting:
        return
    for key, manager in _managers(read_state(session)["deployment"]):
        if key in waiting:
            _give(kube, waiting[key], manager)


def _entry(item: KubeObject) -> int | None:
    """Position of the note of its creation, while no update has taken it over."""
    entries = item["metadata"].get("managedFields", [])
    if any(each["manager"].startswith(_CREATOR) and each["operation"] == "Apply" for each in entries):
        return None
    for number, each in enumerate(entries):
        if each["manager"] == _CREATOR and not each.get("subresource"):
            return number
    return None


def _managers(deployment: Mapping[str, Any]) -> Iterator[tuple[_Key, str]]:
    """Objects of the state, each with the manager under which the provider will apply to it."""
    for resource in deployment.get("resources") or []:
        manager = (resource.get("outputs") or {}).get("__fieldManager")
        metadata = (resource.get("inputs") or {}).get("metadata")
        if isinstance(manager, str) and isinstance(metadata, Mapping):
            kind = resource["type"].rpartition(":")[2]
            yield (kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))), manager


def _give(kube: Kube, item: KubeObject, manager: str) -> None:
    path = f"/metadata/managedFields/{_entry(item)}"
    patch = [
        {"op": "test", "path": f"{path}/manager", "value": _CREATOR},
        {"op": "replace", "path": f"{path}/manager", "value": manager},
        {"op": "replace", "path": f"{path}/operation", "value": "Apply"},
    ]
    kind, namespace, name = identity(item)
    # What somebody else has changed meanwhile is left as it is: the next run looks again.
    kube.run("patch", kind.lower(), name, "-n", namespace, "--type=json", "-p", json.dumps(patch), check=False)
