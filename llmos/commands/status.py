"""``status``: what runs, where, since when, the last events, and how to reach it."""

from __future__ import annotations

import argparse

from llmos.kube import Kube, KubeObject
from llmos.session import add_stack_arguments, open_session
from llmos.state import show_state

__all__ = ["add_arguments", "run"]

_EVENTS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)


def run(args: argparse.Namespace) -> int:
    session = open_session(args, start=False)
    namespace = session.stack.plan.namespace.name
    if session.kube is None:
        print(f"stack {session.stack.name}: the embedded cluster is not running; `python3 -m llmos up` starts it")
        return 0
    if not show_state(session, start_trial=False):
        print(f"stack {session.stack.name}: namespace {namespace} has nothing of it; `python3 -m llmos up` deploys it")
        return 0
    print("Network policies: not enforced on simulated nodes" if session.simulated else "Network policies: as the "
          "cluster's network plugin enforces them")  # fmt: skip
    for line in _events(session.kube, namespace):
        print(line)
    return 0


def _events(kube: Kube, namespace: str) -> list[str]:
    """The newest warnings, or the newest events where nothing warns."""
    events = sorted(kube.get("events", "-n", namespace), key=_when)
    warnings = [event for event in events if event.get("type") == "Warning"]
    shown = (warnings or events)[-_EVENTS:]
    title = "Last warnings:" if warnings else "Last events:"
    return [title, *(f"  {_when(e)} {e['reason']} {_subject(e)}: {' '.join(e['message'].split())}" for e in shown)]


def _when(event: KubeObject) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]


def _subject(event: KubeObject) -> str:
    return f"{event['involvedObject'].get('kind', '')}/{event['involvedObject'].get('name', '')}"
