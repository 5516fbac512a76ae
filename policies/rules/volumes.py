"""Volumes that more pods want than can have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ._model import KubeObject, Stack
from ._rule import Context, Rule, Violation
from ._scale import demand_of

__all__ = ["RULES"]

_ONE_NODE = {"ReadWriteOnce", "ReadWriteOncePod"}


def _workloads(stack: Stack) -> Iterator[KubeObject]:
    return stack.of_kind("Deployment", "ReplicaSet", "StatefulSet")


def _claims(stack: Stack, namespace: str) -> dict[str, set[str | None]]:
    """Claims of the stack by name, with their access modes."""
    return {
        found.name: {node.text for node in found.root.get("spec", "accessModes").elements()}
        for found in stack.of_kind("PersistentVolumeClaim") if found.namespace == namespace
    }  # fmt: skip


def _shared(found: KubeObject, context: Context) -> Iterable[Violation]:
    claims = _claims(context.stack, found.namespace)
    for pod in found.pods:
        for volume in pod.spec.get("volumes").elements():
            claim = volume.get("persistentVolumeClaim", "claimName")
            modes = claims.get(claim.text or "")
            if modes and modes <= _ONE_NODE and _pods(found, context) > 1:
                message = "its pods share a volume that one node can mount, so those on another node wait for ever"
                yield Violation(path=claim.path, message=message)


def _pods(found: KubeObject, context: Context) -> int:
    """As many as there may be at once, one that a rollout starts before another ends included."""
    strategy = found.root.get("spec", "strategy")
    surge = strategy.get("rollingUpdate", "maxSurge").value
    rolls = found.kind == "Deployment" and strategy.get("type").text != "Recreate"
    starts_first = rolls and surge not in (0, "0", "0%")
    return demand_of(context.stack, found).replicas + int(starts_first)


RULES = (
    Rule(
        id="volume-sharing",
        title="Pods of a workload share a volume only if several nodes can mount it.",
        why="With ReadWriteOnce a second replica, or a rollout's new pod, waits for a volume that is not given up.",
        fix="use a ReadWriteMany class, an ephemeral volume for each pod, or one replica with strategy Recreate",
        sources=("https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes",),
        stack_cells=_workloads,
        checks=(_shared,),
    ),
)
