"""Events of a namespace as a person wants to read them: what is still true, once each, newest last."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from llmos.kube import KubeObject

__all__ = ["AT_LIMIT", "event_lines", "newest_last", "plain_reason", "refused_node"]

AT_LIMIT = "exceed limits for nodepool"
"""What Karpenter says where a pool may have no more."""

_SHOWN = 8
# The scheduler adds to every reason what preemption and dynamic resources could not do about it.
_NOISE = re.compile(r"(?:\. |, | )?(?:no new claims to deallocate|preemption: .*)[,.]?")


def plain_reason(text: str) -> str:
    """A condition's or event's message on one line, without what the scheduler adds to every one."""
    return _NOISE.sub("", " ".join(text.split())).rstrip(". ")


def newest_last(events: Sequence[KubeObject]) -> list[KubeObject]:
    """The events in the order of time."""
    return sorted(events, key=_when)


def refused_node(events: Iterable[KubeObject], pod: str) -> str:
    """Why the node autoscaler makes no node for a pod, in its newest event; empty where it has not refused, and where
    the pod would run on none of its nodes anyway. It names all pools in one event, those of other pods included."""
    own = [event for event in events if event.get("reason") == "FailedScheduling" and _subject(event) == f"Pod/{pod}"]
    said = [event["message"] for event in newest_last(own) if _component(event) == "karpenter"]
    last = said[-1] if said else ""
    return "" if "did not tolerate taint" in last and AT_LIMIT not in last else plain_reason(last)


def event_lines(events: Sequence[KubeObject], *, unready: Collection[str]) -> list[str]:
    """The newest warnings, or the newest events where nothing warns; each (reason, object, source) once.

    Args:
        events: of the namespace, in the order of time.
        unready: names of the pods that do not serve. A warning about any other pod is over: it serves, or has gone.
    """
    newest = {(event["reason"], _subject(event), _component(event)): event for event in events}
    latest = newest_last(list(newest.values()))
    warnings = [event for event in latest if event.get("type") == "Warning" and _holds(event, unready)]
    shown = (warnings or [event for event in latest if event.get("type") != "Warning"])[-_SHOWN:]
    title = "Last warnings:" if warnings else "Last events:"
    lines = [f"  {_time(e)} {e['reason']} {_subject(e)}: {plain_reason(e['message'])}" for e in shown]
    return [title, *lines] if lines else []


def _holds(event: KubeObject, unready: Collection[str]) -> bool:
    about = event["involvedObject"]
    return about.get("kind") != "Pod" or about.get("name") in unready


def _when(event: KubeObject) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]


def _time(event: KubeObject) -> str:
    return re.sub(r"\.\d+", "", _when(event)).replace("T", " ").replace("Z", " UTC")


def _component(event: KubeObject) -> str:
    return event.get("reportingComponent") or event.get("source", {}).get("component", "")


def _subject(event: KubeObject) -> str:
    return f"{event['involvedObject'].get('kind', '')}/{event['involvedObject'].get('name', '')}"
