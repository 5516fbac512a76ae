"""Workloads that a stack no longer has, whose pods count against a quota that is meant for the others alone.

The engine deletes last. By then it has lowered the quota and exchanges what stays, and the pods of what leaves take the
room that an exchange needs: the new pods are refused, the exchange never ends, and nothing is ever deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from llmos.engines.base import EngineAction, EngineRun
from llmos.engines.kubectl import kube_of
from llmos.kube import KubeObject

__all__ = ["made_room"]

_GONE_SECONDS = 300


@contextmanager
def made_room(run: EngineRun, actions: Collection[EngineAction]) -> Iterator[None]:
    """Around an update that changes the quota, or finds that it has refused pods: the pods of Deployments that are
    deleted go first. They come back when the update fails, because the stack file that has them may be the next one.

    Args:
        run: stack and cluster; nothing is done without a kubectl.
        actions: what the update is going to do.
    """
    names = {
        (action.namespace, action.name) for action in actions
        if action.kind == "Deployment" and action.action == "delete" and not action.replaces
    }  # fmt: skip
    if run.kubectl is None or not names:
        yield
        return
    kube = kube_of(run)
    live = kube.get("deployments", "-n", run.namespace)
    changed = any(action.kind == "ResourceQuota" and action.action == "update" for action in actions)
    counts = {}
    if changed or any(_refused(deployment) for deployment in live):
        for item in live:
            key = (item["metadata"]["namespace"], item["metadata"]["name"])
            if key in names:
                counts[key] = item["spec"].get("replicas", 1)
    try:
        for namespace, name in counts:
            run.progress(f"  Deployment {name} goes first: its pods count against the quota of what stays")
            kube.run("scale", "deployment", name, "-n", namespace, "--replicas=0")
        for namespace, name in counts:
            selector = f"app.kubernetes.io/name={name},app.kubernetes.io/instance={run.stack}"
            kube.run(
                "wait", "--for=delete", "pod", "-n", namespace, "-l", selector, f"--timeout={_GONE_SECONDS}s",
                check=False, timeout_seconds=_GONE_SECONDS + 20,
            )  # fmt: skip
        yield
    except BaseException:
        for (namespace, name), count in counts.items():
            kube.run("scale", "deployment", name, "-n", namespace, f"--replicas={count}", check=False)
        raise


def _refused(deployment: KubeObject) -> bool:
    """Whether an earlier run has lowered the quota already, and waited for pods until it ended."""
    conditions = deployment.get("status", {}).get("conditions", [])
    return any(one["type"] == "ReplicaFailure" and "exceeded quota" in one.get("message", "") for one in conditions)
