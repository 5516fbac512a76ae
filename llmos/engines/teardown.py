"""Taking a stack of the kubectl engine away, in an order that leaves nothing behind and can be taken up again."""

from __future__ import annotations

from collections.abc import Iterable

from llmos.engines.applyset import ApplySet, delete_objects
from llmos.engines.base import ENGINE_LABEL, EngineRun, Progress
from llmos.engines.kubectl import NAME, kube_of, namespace_of
from llmos.engines.lock import Held, hold, refuse_if_held
from llmos.engines.shapes import going
from llmos.kube import Kube, KubeObject, as_list
from planner.faults import EnvironmentFault, Fault

__all__ = ["await_deleted", "destroy", "settled_namespace"]

# Controllers that work on the others' behalf go first, or they would recreate; node pools after the pods on their
# nodes, so that Karpenter drains and removes the nodes; fences last.
_PHASES = (
    ("ScaledObject", "HorizontalPodAutoscaler", "Deployment", "Service", "PodDisruptionBudget"),
    ("NodePool",),
    ("KWOKNodeClass", "EC2NodeClass"),
)
_WAIT_SECONDS = 180
_WAIT = f"--timeout={_WAIT_SECONDS}s"


def destroy(run: EngineRun) -> list[str]:
    """Delete everything of the stack and wait until it is gone. Killed anywhere, it can be called again.

    Outside dev the namespace and the weight caches stay, as they would under Pulumi's ``protect``.

    Returns:
        What was left on purpose, in words; empty when nothing is left.

    Raises:
        UserFault: the namespace belongs to the other engine.
        EnvironmentFault: another run holds the stack, the cluster does not answer, or something does not go away in
            three minutes.
    """
    kube = kube_of(run)
    namespace = settled_namespace(kube, run)
    if namespace is None:
        # Objects outside namespaces outlive one that was deleted by hand.
        delete_objects(kube, ApplySet(kube=kube, stack=run.stack, namespace=run.namespace).members())
        return []
    with hold(
        kube, stack=run.stack, namespace=run.namespace, command=run.command, progress=run.progress
    ) as held:
        left = _delete_members(held.kube, run)
        return left + _delete_namespace(held, namespace, durable=run.environment != "dev")


def settled_namespace(kube: Kube, run: EngineRun) -> KubeObject | None:
    """The stack's namespace, or None. One that is being deleted, e.g. by a `destroy` that was killed while it waited,
    is waited for.

    Raises:
        UserFault: it belongs to the other engine.
        EnvironmentFault: that `destroy` still works, or the namespace does not go away in three minutes.
    """
    namespace = namespace_of(kube, run)
    if namespace is None or not going(namespace):
        return namespace
    refuse_if_held(kube, stack=run.stack, namespace=run.namespace)
    run.progress(f"namespace {run.namespace} is being deleted: waiting until it is gone")
    _await_gone(kube, [namespace])
    return None


def await_deleted(kube: Kube, objects: Iterable[KubeObject], progress: Progress) -> None:
    """Wait for those of the objects that are marked for deletion.

    Raises:
        EnvironmentFault: one does not go away in three minutes; names the finalizers it waits for.
    """
    marked = [item for item in objects if going(item)]
    if marked:
        names = ", ".join(f"{item['kind']} {item['metadata']['name']}" for item in marked)
        progress(f"being deleted: waiting until it is gone: {names}")
        _await_gone(kube, marked)


def _await_gone(kube: Kube, objects: Iterable[KubeObject]) -> None:
    for item in objects:
        done = kube.run(
            "wait", "--for=delete", _WAIT, "-f", "-", stdin=as_list([item]), check=False,
            timeout_seconds=_WAIT_SECONDS + 20,
        )
        if done.returncode != 0 and "NotFound" not in done.stderr:
            raise EnvironmentFault(_stays(item))


def _stays(item: KubeObject) -> Fault:
    metadata = item["metadata"]
    finalizers = ", ".join([*metadata.get("finalizers", []), *item.get("spec", {}).get("finalizers", [])])
    return Fault(
        what=f"it is being deleted since {metadata['deletionTimestamp']} and does not go away"
        + (f"; it waits for {finalizers}" if finalizers else ""),
        where=f"{item['kind']} {metadata['name']}",
        fix="start the controller that the finalizer belongs to, or see what is left in it, and repeat",
    )


def _delete_members(kube: Kube, run: EngineRun) -> list[str]:
    durable = run.environment != "dev"
    applyset = ApplySet(kube=kube, stack=run.stack, namespace=run.namespace)
    members = applyset.members()
    kept = [item for item in members if durable and item["kind"] == "PersistentVolumeClaim"]
    going_ones = [item for item in members if item not in kept]
    for phase in _PHASES:
        delete_objects(kube, [item for item in going_ones if item["kind"] in phase])
        if "Deployment" in phase:
            label = f"app.kubernetes.io/instance={run.stack}"
            kube.run(
                "wait", "--for=delete", "pod", "-n", run.namespace, "-l", label, _WAIT,
                timeout_seconds=_WAIT_SECONDS + 20,
            )
    delete_objects(kube, [item for item in going_ones if not any(item["kind"] in phase for phase in _PHASES)])
    if not kept:
        kube.run("delete", "configmap", applyset.parent_name, "-n", run.namespace, "--ignore-not-found")
    return [f"PersistentVolumeClaim {item['metadata']['name']} (holds weights)" for item in kept]


def _delete_namespace(held: Held, namespace: KubeObject, *, durable: bool) -> list[str]:
    """Only a namespace that this engine created goes, and only in dev; the lock goes with it."""
    name, labels = namespace["metadata"]["name"], namespace["metadata"].get("labels", {})
    if labels.get(ENGINE_LABEL) != NAME:
        return [f"namespace {name} (it was there before the stack)"]
    if durable:
        return [f"namespace {name} (kept outside dev; `kubectl delete namespace {name}` removes it)"]
    held.kube.run("delete", "namespace", name, "--wait=false")
    held.abandon()
    _await_gone(held.kube, [{**namespace, "metadata": {**namespace["metadata"], "deletionTimestamp": "just now"}}])
    return []
