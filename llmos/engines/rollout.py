"""Waiting for Deployments, and saying why one is stuck: the pod's own reason, never just "timed out"."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmos.engines.stages import Stages
from llmos.events import plain_reason
from llmos.kube import Kube, KubeObject
from planner.faults import EnvironmentFault, Fault

__all__ = ["Stuck", "is_available", "stuck_reasons", "wait_available"]

_POLL_SECONDS = 0.5
# Reasons that do not go away by themselves are given this long, since the first pod may only have met a race.
_HOPELESS_SECONDS = 20
_HOPELESS = (
    "CreateContainerConfigError", "InvalidImageName", "FailedCreate", "ErrImageNeverPull", "CreateContainerError",
)
# These heal when a registry or a back end comes back; the Deployment's own progress deadline decides.
_QUIET = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """Why a pod (or a Deployment that gets no pod) does not become available."""

    subject: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}{': ' + self.message if self.message else ''}"


def is_available(deployment: KubeObject) -> bool:
    """Whether the newest version of the Deployment runs with all its replicas, and nothing of an older one is left."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    return (
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def wait_available(
    kube: Kube, *, namespace: str, stack: str, progress: Callable[[str], None], timeout_seconds: float
) -> list[KubeObject]:
    """Wait until every Deployment of the stack is available and return them.

    Raises:
        EnvironmentFault: one fault per Deployment that made no progress in its own deadline, cannot start, or is not
            available after ``timeout_seconds``; each with the reason its pods and events give.
    """
    deadline, hopeless_since = time.monotonic() + timeout_seconds, None
    told: set[str] = set()
    stages = Stages(kube, namespace=namespace, stack=stack, progress=progress)
    while True:
        deployments = kube.get("deployments", "-n", namespace, "-l", f"app.kubernetes.io/instance={stack}")
        waiting = [item for item in deployments if not is_available(item)]
        if not waiting:
            return deployments
        reasons = stuck_reasons(kube, namespace=namespace, deployments=waiting)
        for line in sorted({str(reason) for reason in reasons} - told):
            progress(f"  waiting for {line}")
            told.add(line)
        stages.tell()
        hopeless = any(reason.reason in _HOPELESS for reason in reasons)
        hopeless_since = (hopeless_since or time.monotonic()) if hopeless else None
        given_up = hopeless_since is not None and time.monotonic() - hopeless_since > _HOPELESS_SECONDS
        if given_up or time.monotonic() > deadline or any(_deadline_exceeded(item) for item in waiting):
            raise EnvironmentFault(_fault(item, reasons, namespace) for item in waiting)
        time.sleep(_POLL_SECONDS)


def _deadline_exceeded(deployment: KubeObject) -> bool:
    conditions = deployment.get("status", {}).get("conditions", [])
    fresh = deployment.get("status", {}).get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return fresh and any(condition.get("reason") == "ProgressDeadlineExceeded" for condition in conditions)


def _fault(deployment: KubeObject, reasons: Sequence[Stuck], namespace: str) -> Fault:
    name, status = deployment["metadata"]["name"], deployment.get("status", {})
    own = [str(reason) for reason in reasons if reason.subject.startswith(name)]
    ready, wanted = status.get("availableReplicas", 0), deployment["spec"].get("replicas", 1)
    why = "\n    ".join(own[:5]) or "its pods give no reason yet"
    return Fault(
        what=f"{ready} of {wanted} replicas are available; what ran before goes on serving:\n    {why}",
        where=f"deployment {namespace}/{name}",
        fix="mend the reason and repeat `up`, or go back with `up` of the previous stack file",
    )


def stuck_reasons(kube: Kube, *, namespace: str, deployments: Sequence[KubeObject]) -> list[Stuck]:
    """The reasons that pods and the newest events of these Deployments give, most telling first."""
    reasons: dict[str, Stuck] = {}
    for deployment in deployments:
        labels = deployment["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        for pod in kube.get("pods", "-n", namespace, "-l", selector):
            for stuck in _pod_reasons(pod):
                reasons.setdefault(stuck.subject, stuck)
        for condition in deployment.get("status", {}).get("conditions", []):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                name = deployment["metadata"]["name"]
                reasons[name] = Stuck(subject=name, reason=condition["reason"], message=condition.get("message", ""))
    return sorted(reasons.values(), key=lambda stuck: (stuck.reason not in _HOPELESS, stuck.subject))


def _pod_reasons(pod: KubeObject) -> list[Stuck]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return []
    found = []
    statuses = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    for container in statuses:
        waiting = container.get("state", {}).get("waiting", {})
        ended = container.get("lastState", {}).get("terminated", {})
        ended = container.get("state", {}).get("terminated") or ended
        if waiting and waiting.get("reason") not in _QUIET:
            message = ended.get("message") or waiting.get("message", "")
            found.append(Stuck(subject=name, reason=waiting.get("reason", "Waiting"), message=_short(message)))
        elif not container.get("ready") and ended.get("exitCode"):
            # Between two tries it runs, or has just ended: what the last one said is still why.
            message = _short(ended.get("message", ""))
            found.append(Stuck(subject=name, reason=ended.get("reason", "Error"), message=message))
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            reason = condition.get("reason", "Unscheduled")
            found.append(Stuck(subject=name, reason=reason, message=_short(plain_reason(condition.get("message", "")))))
    if not found and status.get("phase") == "Running" and not all(c.get("ready") for c in statuses):
        found.append(Stuck(subject=name, reason="NotReady", message="started; its readiness probe does not pass yet"))
    return found


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 300 else flat[:299] + "…"
