"""``status``: what runs, where, since when, how far what starts is, the last events, and how to reach it."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Mapping, Sequence

from llmos.commands import _aws
from llmos.events import event_lines, newest_last
from llmos.kube import KubeObject
from llmos.loading import Progress, unready
from llmos.pulumi_state import state_lines
from llmos.session import Session, add_stack_arguments, open_session
from llmos.state import show_state

__all__ = ["add_arguments", "run"]

_PODS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)


def run(args: argparse.Namespace) -> int:
    session = open_session(args, start=False)
    if session.stack.plan.aws:
        return _aws.status(session)
    namespace = session.stack.plan.namespace.name
    if session.kube is None:
        print(f"stack {session.stack.name}: the embedded cluster is not running; `python3 -m llmos up` starts it")
        return 0
    if not show_state(session, start_trial=False):
        print(f"stack {session.stack.name}: namespace {namespace} has nothing of it; `python3 -m llmos up` deploys it")
        return 0
    print(f"Network policies: {session.network_policies}")
    events = newest_last(session.kube.get("events", "-n", namespace))
    waiting = _unready(session, events)
    for line in (*state_lines(session), *_starting(waiting), *event_lines(events, unready=waiting)):
        print(line)
    return 0


def _unready(session: Session, events: Sequence[KubeObject]) -> dict[str, Progress]:
    """How far each pod is that does not serve yet."""
    kube, plan = session.kube, session.stack.plan
    assert kube is not None, "run has checked that the cluster answers"
    pods = kube.get("pods", "-n", plan.namespace.name, "-l", f"app.kubernetes.io/instance={session.stack.name}")
    return unready(kube, pods, events, now=dt.datetime.now(dt.UTC))


def _starting(waiting: Mapping[str, Progress]) -> list[str]:
    lines = [f"  {name}: {progress}" for name, progress in sorted(waiting.items())]
    more = [f"  and {len(lines) - _PODS} more"] if len(lines) > _PODS else []
    return ["Not ready yet:", *lines[:_PODS], *more] if lines else []
