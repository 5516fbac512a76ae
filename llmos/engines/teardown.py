"""Taking a stack of the kubectl engine away, in an order that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterable

from llmos.engines.applyset import ApplySet
from llmos.engines.base import ENGINE_LABEL, EngineRun
from llmos.engines.kubectl import NAME, kube_of, owner_fault
from llmos.kube import Kube, KubeObject, as_list
from planner.faults import UserFault

__all__ = ["destroy"]

# Controllers that work on the others' behalf go first, or they would recreate; node pools after the pods on their
# nodes, so that Karpenter drains and removes the nodes; fences last.
_PHASES = (
    ("ScaledObject", "HorizontalPodAutoscaler", "Deployment", "Service", "PodDisruptionBudget"),
    ("NodePool",),
    ("KWOKNodeClass", "EC2NodeClass"),
)
_WAIT = "--timeout=180s"


def destroy(run: EngineRun) -> list[str]:
    """Delete everything of the stack and wait until it is gone.

    Outside dev the namespace and the weight caches stay, as they would under Pulumi's ``protect``.

    Returns:
        What was left on purpose, in words; empty when nothing is left.

    Raises:
        UserFault: the namespace belongs to the other engine.
        EnvironmentFault: the cluster does not answer, or something does not go away in three minutes.
    """
    kube = kube_of(run)
    namespaces = kube.get("namespace", run.namespace)
    if not namespaces:
        return []
    fault = owner_fault(namespaces[0], run)
    if fault:
        raise UserFault(fault)
    durable = run.environment != "dev"
    applyset = ApplySet(kube=kube, stack=run.stack, namespace=run.namespace)
    members = applyset.members()
    kept = [item for item in members if durable and item["kind"] == "PersistentVolumeClaim"]
    going = [item for item in members if item not in kept]
    for phase in _PHASES:
        _delete(kube, [item for item in going if item["kind"] in phase])
        if "Deployment" in phase:
            label = f"app.kubernetes.io/instance={run.stack}"
            kube.run("wait", "--for=delete", "pod", "-n", run.namespace, "-l", label, _WAIT, timeout_seconds=200)
    _delete(kube, [item for item in going if not any(item["kind"] in phase for phase in _PHASES)])
    if not kept:
        kube.run("delete", "configmap", applyset.parent_name, "-n", run.namespace, "--ignore-not-found")
    left = [f"PersistentVolumeClaim {item['metadata']['name']} (holds weights)" for item in kept]
    return left + _delete_namespace(kube, namespaces[0], durable=durable)


def _delete(kube: Kube, items: Iterable[KubeObject]) -> None:
    listed = [
        {"apiVersion": i["apiVersion"], "kind": i["kind"], "metadata": _named(i)} for i in items
    ]
    if listed:
        kube.run(
            "delete", "--ignore-not-found", "--wait=true", _WAIT, "-f", "-", stdin=as_list(listed), timeout_seconds=200
        )


def _named(item: KubeObject) -> dict[str, str]:
    return {key: item["metadata"][key] for key in ("name", "namespace") if key in item["metadata"]}


def _delete_namespace(kube: Kube, namespace: KubeObject, *, durable: bool) -> list[str]:
    """Only a namespace that this engine created goes, and only in dev."""
    name, labels = namespace["metadata"]["name"], namespace["metadata"].get("labels", {})
    if labels.get(ENGINE_LABEL) != NAME:
        return [f"namespace {name} (it was there before the stack)"]
    if durable:
        return [f"namespace {name} (kept outside dev; `kubectl delete namespace {name}` removes it)"]
    kube.run("delete", "namespace", name, "--wait=true", _WAIT, timeout_seconds=200)
    return []
