"""``refresh``: bring the engine's state up to what the cluster has, and say what had changed behind it."""

from __future__ import annotations

import argparse

from llmos.session import add_stack_arguments, open_session

__all__ = ["add_arguments", "run"]

_DRIFT = {"update": "changed since:", "delete": "gone:"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)


def run(args: argparse.Namespace) -> int:
    session = open_session(args, start=False)
    if session.kube is None:
        print(f"stack {session.stack.name}: the embedded cluster is not running, so there is nothing to read")
        return 0
    if session.engine.name == "kubectl":
        # Not a fault: scripts that refresh before they preview work with either engine.
        print("the kubectl engine keeps no state beside the cluster, so there is nothing to bring up to date")
        return 0
    from llmos.engines import pulumi

    drifted = [action for action in pulumi.refresh(session.run).actions if action.action in _DRIFT]
    for action in drifted:
        print(f"  {_DRIFT[action.action]} {action.kind} {'/'.join(filter(None, (action.namespace, action.name)))}")
    print(f"stack {session.stack.name}: {len(drifted)} objects differed from the state")
    if drifted:
        print("`python3 -m llmos preview` shows what `up` would do about them")
    return 0
