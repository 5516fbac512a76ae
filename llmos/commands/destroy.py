"""``destroy``: remove the stack and everything that belongs to it."""

from __future__ import annotations

import argparse

from llmos.commands import _aws
from llmos.console import step
from llmos.images import trial
from llmos.session import add_stack_arguments, confirm, open_session

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="remove from a cluster other than the embedded one unasked")


def run(args: argparse.Namespace) -> int:
    session = open_session(args, start=False)
    confirm(args, session.stack, question=f"Destroy stack {session.stack.name}?")
    if session.stack.plan.aws:
        return _aws.destroy(session)
    if session.kube and session.engine.name == "kubectl":
        from llmos.engines import lock

        lock.refuse_if_held(session.kube, stack=session.stack.name, namespace=session.run.namespace)
    trial.remove(session.stack.name)
    if session.kube is None:
        print(f"stack {session.stack.name}: the embedded cluster is not running, so nothing of it is deployed")
        return 0
    left: list[str] = []
    with step(f"destroying stack {session.stack.name}"):
        if session.engine.name == "pulumi":
            from llmos.engines import pulumi

            left = list(pulumi.destroy(session.run).left)
        else:
            from llmos.engines import teardown

            left = teardown.destroy(session.run)
    print(f"stack {session.stack.name} is gone" + (f"; left on purpose: {', '.join(left)}" if left else ""))
    return 0
