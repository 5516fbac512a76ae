"""How far a pod is on its way to serving: from its conditions, its events, its start-up probe and its last log lines.

Loading a large model takes minutes in which a pod only says "not ready". vLLM tells in its log what it does; the lines
looked for are those of vLLM's V1 engine (``default_loader.py``, ``backends.py``, ``gpu_model_runner.py``). A version
that words them differently only loses detail: the stage is then "starting".
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llmos.console import duration
from llmos.events import plain_reason, refused_node
from llmos.kube import Kube, KubeObject
from planner.faults import EnvironmentFault

__all__ = ["STAGES", "Progress", "progress_of", "unready"]

STAGES = (
    "waiting for a node", "pulling the image", "starting", "downloading weights", "loading weights", "compiling",
    "warming up", "answering", "ready", "failing",
)
"""What a pod goes through, in this order; ``failing`` may come at any time."""

# Later lines count more. A line that matches says that what it names is going on now.
_LINES = (
    (r"Starting to load model", "downloading weights", ""),
    (r"Time spent downloading weights", "loading weights", ""),
    (r"Loading [\w ]*(?:shards|loader)\w*:\s+(\d+)% Completed \| (\d+)/(\d+)", "loading weights", "{1} of {2} parts"),
    (r"(?:Loading weights took|Model loading took)", "compiling", ""),
    (r"(?:Dynamo bytecode transform|Compiling a graph|torch_compile_cache)", "compiling", ""),
    (r"torch\.compile (?:takes|took) [\d.]+ s in total", "warming up", ""),
    (r"(?:Memory profiling takes|GPU KV cache size)", "warming up", "KV cache reserved"),
    (r"Capturing CUDA graphs[^:]*:\s+(\d+)%", "warming up", "CUDA graphs {0} %"),
    (r"(?:Graph capturing finished|init engine)", "warming up", "CUDA graphs done"),
    (r"(?:Starting vLLM API server|Application startup complete|model_server: serving)", "answering", ""),
)
# Between two telling lines vLLM writes some dozens of others.
_TAIL_LINES = 400
_WAITING_IS_FAILURE = re.compile(r"BackOff$|^Err|^Create\w*Error$|^InvalidImageName$|^RunContainerError$")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a pod is.

    Attributes:
        stage: one of ``STAGES``.
        detail: more about it, e.g. ``3 of 9 parts``, or why it fails.
        elapsed_seconds: since the container started, or since the pod was made where it has not; 0 when ready.
        limit_seconds: the start-up probe's patience, after which the container is restarted; 0 before it started.
        restarts: how often the container was started again.
    """

    stage: str
    detail: str = ""
    elapsed_seconds: float = 0
    limit_seconds: float = 0
    restarts: int = 0

    def __str__(self) -> str:
        text = f"{self.stage} ({self.detail})" if self.detail else self.stage
        if self.elapsed_seconds:
            text += f", {duration(self.elapsed_seconds)}"
            text += f" of at most {duration(self.limit_seconds)}" if self.limit_seconds else ""
        again = "once" if self.restarts == 1 else f"{self.restarts} times"
        return f"{text}, restarted {again}" if self.restarts else text


def unready(
    kube: Kube, pods: Iterable[KubeObject], events: Sequence[KubeObject], *, now: dt.datetime
) -> dict[str, Progress]:
    """Progress of every pod that is not ready, by name; asks for the log of those whose container runs."""
    found = {}
    for pod in pods:
        status, metadata = pod.get("status", {}), pod["metadata"]
        ended = status.get("phase") in ("Succeeded", "Failed") or metadata.get("deletionTimestamp")
        if ended or _condition(status, "Ready") == "True":
            continue
        log = _tail(kube, pod) if _running_main(status) else ""
        found[metadata["name"]] = progress_of(pod, events=events, log=log, now=now)
    return found


def _tail(kube: Kube, pod: KubeObject) -> str:
    """The last lines of the main container; empty where they cannot be had."""
    metadata, container = pod["metadata"], pod["spec"]["containers"][0]["name"]
    words = ["logs", f"pod/{metadata['name']}", "-n", metadata["namespace"], "-c", container, f"--tail={_TAIL_LINES}"]
    try:
        done = kube.run(*words, "--request-timeout=10s", check=False, timeout_seconds=20)
    except EnvironmentFault:
        return ""
    return done.stdout if done.returncode == 0 else ""


def progress_of(
    pod: KubeObject, *, events: Sequence[KubeObject] = (), log: str = "", now: dt.datetime
) -> Progress:
    """How far a pod is.

    Args:
        pod: as the API server describes it.
        events: of its namespace; those of other objects are passed over.
        log: the last lines of its main container; empty where none can be had.
        now: the time to measure against, with a time zone.
    """
    status = pod.get("status", {})
    if _condition(status, "Ready") == "True":
        return Progress(stage="ready")
    since_made = _seconds(pod["metadata"].get("creationTimestamp"), now)
    own = [event for event in events if event.get("involvedObject", {}).get("name") == pod["metadata"]["name"]]
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    restarts = max([container.get("restartCount", 0) for container in containers], default=0)
    for container in containers:
        waiting = container.get("state", {}).get("waiting", {})
        if _WAITING_IS_FAILURE.search(waiting.get("reason", "")):
            return Progress(stage="failing", detail=_why(container), elapsed_seconds=since_made, restarts=restarts)
    if not pod["spec"].get("nodeName"):
        return Progress(stage="waiting for a node", detail=_unscheduled(pod, own), elapsed_seconds=since_made)
    started = _running_main(status)
    if started is None:
        return Progress(**_before_start(status, own), elapsed_seconds=since_made, restarts=restarts)
    stage, detail = _said(log)
    if stage == "downloading weights" and any(_fetches(c["name"]) for c in pod["spec"].get("initContainers", [])):
        stage = "loading weights"
    return Progress(
        stage=stage, detail=detail, elapsed_seconds=_seconds(started["startedAt"], now), restarts=restarts,
        limit_seconds=_patience(pod["spec"]["containers"][0]),
    )  # fmt: skip


def _condition(status: KubeObject, kind: str) -> str:
    return next((c["status"] for c in status.get("conditions", []) if c["type"] == kind), "")


def _seconds(since: str | None, now: dt.datetime) -> float:
    return max(0.0, (now - dt.datetime.fromisoformat(since)).total_seconds()) if since else 0.0


def _why(container: KubeObject) -> str:
    """The reason of a container that cannot run: what the last one said, else what the kubelet says."""
    waiting, ended = container["state"]["waiting"], container.get("lastState", {}).get("terminated", {})
    if ended:
        how = f"{container['name']} ended with {ended.get('exitCode')} ({ended.get('reason', 'no reason')})"
        said = " ".join(ended.get("message", "").split())
        return _short(": ".join(filter(None, (waiting["reason"], how, said))))
    return _short(": ".join(filter(None, (waiting["reason"], " ".join(waiting.get("message", "").split())))))


def _unscheduled(pod: KubeObject, events: Sequence[KubeObject]) -> str:
    nominated = [event for event in events if event.get("reason") in ("Nominated", "TriggeredScaleUp")]
    if nominated:
        return "one is being made"
    conditions = pod.get("status", {}).get("conditions", [])
    message = next((c.get("message", "") for c in conditions if c["type"] == "PodScheduled"), "")
    # The scheduler says why no node that is there will do, the autoscaler why there will be no other.
    return _short(refused_node(events, pod["metadata"]["name"]) or plain_reason(message))


def _running_main(status: KubeObject) -> KubeObject | None:
    """State of the first container, when it runs."""
    first = next(iter(status.get("containerStatuses", [])), {})
    return first.get("state", {}).get("running")


def _before_start(status: KubeObject, events: Sequence[KubeObject]) -> dict[str, Any]:
    """Pulling an image, or running an init container."""
    pulling = [event for event in events if event.get("reason") in ("Pulling", "Pulled")]
    newest = max(pulling, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "", default=None)
    for container in status.get("initContainerStatuses", []):
        if "running" in container.get("state", {}):
            stage = "downloading weights" if _fetches(container["name"]) else "starting"
            return {"stage": stage, "detail": f"container {container['name']}"}
    if newest is not None and newest["reason"] == "Pulling":
        image = re.search(r'"([^"@]+)', newest.get("message", ""))
        return {"stage": "pulling the image", "detail": image[1] if image else ""}
    return {"stage": "starting", "detail": "container is being made"}


def _fetches(container: str) -> bool:
    """Whether an init container brings the weights, or waits for them."""
    return any(word in container for word in ("weight", "model", "download"))


def _said(log: str) -> tuple[str, str]:
    """Stage and detail of the last telling line. Progress bars are one line that was written over many times."""
    found = ("starting", "")
    for line in re.split(r"[\r\n]+", log):
        for pattern, stage, detail in _LINES:
            match = re.search(pattern, line)
            if match:
                found = (stage, detail.format(*match.groups()))
    return found


def _patience(container: KubeObject) -> float:
    probe = container.get("startupProbe", {})
    return probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10) if probe else 0


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"
