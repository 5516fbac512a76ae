"""Waiting for Deployments, and saying why one is stuck: the pod's own reason, never just "timed out"."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from llmos.engines.stages import Stages
from llmos.events import AT_LIMIT, plain_reason, refused_node
from llmos.kube import Kube, KubeObject
from planner.faults import EnvironmentFault, Fault

__all__ = ["Stuck", "has_failed", "is_available", "stuck_reasons", "wait_available"]

_POLL_SECONDS = 0.5
# Reasons that do not go away by themselves are given this long, since the first pod may only have met a race.
_HOPELESS_SECONDS = 20
_HOPELESS = (
    "CreateContainerConfigError", "InvalidImageName", "FailedCreate", "ErrImageNeverPull", "CreateContainerError",
    "BackoffLimitExceeded", "DeadlineExceeded",
)
_AWAY = re.compile(r"Pull(BackOff)?: .*dial tcp (?P<registry>\S+): ")
_UNSCHEDULABLE = "Unschedulable"
# The container that waits for the Job that fetches weights, and the Job and its pods.
_WAITS_FOR_JOB, _OF_JOB = "weights-wait", "app.kubernetes.io/component=weights"
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


def has_failed(job: KubeObject) -> bool:
    """Whether a Job has given up; it stays so until it is deleted."""
    return any(
        condition["type"] == "Failed" and condition["status"] == "True"
        for condition in job.get("status", {}).get("conditions", [])
    )


def wait_available(
    kube: Kube, *, namespace: str, stack: str, progress: Callable[[str], None], timeout_seconds: float,
    names: Collection[str] = (),
) -> list[KubeObject]:
    """Wait until every Deployment of the stack, or those of these names, is available and return them.

    Raises:
        EnvironmentFault: one fault per Deployment that made no progress in its own deadline, cannot start, or is not
            available after ``timeout_seconds``; each with the reason its pods and events give.
    """
    deadline, hopeless_since = time.monotonic() + timeout_seconds, None
    told: set[str] = set()
    stages = Stages(kube, namespace=namespace, stack=stack, progress=progress)
    while True:
        deployments = kube.get("deployments", "-n", namespace, "-l", f"app.kubernetes.io/instance={stack}")
        deployments = [item for item in deployments if not names or item["metadata"]["name"] in names]
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
    away = _AWAY.search(why)
    mend = f"make the registry {away['registry']} answer" if away else "mend the reason"
    if AT_LIMIT in why:
        mend = "free GPUs of the pool, or raise `gpu_pool.max_gpus` within `budget.gpus`,"
    return Fault(
        what=f"{ready} of {wanted} replicas are available; what ran before goes on serving:\n    {why}",
        where=f"deployment {namespace}/{name}",
        fix=f"{mend} and repeat `up`, or go back with `up` of the previous stack file",
    )


def stuck_reasons(kube: Kube, *, namespace: str, deployments: Sequence[KubeObject]) -> list[Stuck]:
    """The reasons that pods and the newest events of these Deployments give, most telling first."""
    reasons: dict[str, Stuck] = {}
    for deployment in deployments:
        labels = deployment["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        pods = kube.get("pods", "-n", namespace, "-l", selector)
        found = [stuck for pod in pods for stuck in _pod_reasons(pod)]
        if any(stuck.reason == _UNSCHEDULABLE for stuck in found):
            events = kube.get("events", "-n", namespace, "--field-selector", "reason=FailedScheduling")
            found = [_with_autoscaler(stuck, events) for stuck in found]
        if any(_waits_for_job(pod) for pod in pods):
            found += _job_reasons(kube, namespace=namespace, instance=labels["app.kubernetes.io/instance"])
        for stuck in found:
            reasons.setdefault(stuck.subject, stuck)
        for condition in deployment.get("status", {}).get("conditions", []):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                name = deployment["metadata"]["name"]
                reasons[name] = Stuck(subject=name, reason=condition["reason"], message=condition.get("message", ""))
    return sorted(reasons.values(), key=lambda stuck: (stuck.reason not in _HOPELESS, stuck.subject))


def _with_autoscaler(stuck: Stuck, events: Sequence[KubeObject]) -> Stuck:
    """The scheduler says why no node that is there will do; this adds why the autoscaler makes no other."""
    why = refused_node(events, stuck.subject) if stuck.reason == _UNSCHEDULABLE else ""
    return replace(stuck, message=f"{stuck.message}; no further node: {_short(why)}") if why else stuck


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


def _waits_for_job(pod: KubeObject) -> bool:
    waiting = pod.get("status", {}).get("initContainerStatuses", [])
    return any(container["name"] == _WAITS_FOR_JOB and not container.get("ready") for container in waiting)


def _job_reasons(kube: Kube, *, namespace: str, instance: str) -> list[Stuck]:
    """Why the weights that a server waits for do not come: what the Job's pods say, else that it has given up."""
    where = ("-n", namespace, "-l", f"app.kubernetes.io/instance={instance},{_OF_JOB}")
    running = [pod for pod in kube.get("pods", *where) if pod.get("status", {}).get("phase") != "Succeeded"]
    found = [stuck for pod in running for stuck in _pod_reasons(pod)]
    for job in kube.get("jobs", *where):
        if has_failed(job):
            (why, *_) = [one for one in job["status"]["conditions"] if one["type"] == "Failed"]
            reason, message = why.get("reason", "Failed"), why.get("message", "")
            found.append(Stuck(subject=job["metadata"]["name"], reason=reason, message=message))
    return found


def _short(text: str) -> str:
    """On one line, with beginning and end: a runtime says last what stopped it, after every step that led there."""
    flat = re.sub(r"(@sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1", " ".join(text.split()))
    return flat if len(flat) <= 300 else f"{flat[:119]} … {flat[-178:]}"
