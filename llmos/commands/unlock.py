"""``unlock``: break the lock of a run that is certainly dead, where it cannot be seen from here that it is."""

from __future__ import annotations

import argparse

from llmos.engines import lock
from llmos.session import add_stack_arguments, confirm, open_session
from planner.faults import Fault, UserFault

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="break it on a cluster other than the embedded one unasked")


def run(args: argparse.Namespace) -> int:
    session = open_session(args, start=False)
    stack, namespace = session.stack.name, session.run.namespace
    if session.engine.name == "pulumi":
        raise UserFault(
            Fault(
                what="the pulumi engine keeps the lock in Pulumi's own state", where=f"stack {stack}",
                fix=f"`pulumi cancel {stack}`; the message that names the holder has the whole line",
            )
        )
    holder = lock.holder_of(session.kube, stack=stack, namespace=namespace) if session.kube else None
    if session.kube is None or holder is None:
        print(f"stack {stack}: no run holds it")
        return 0
    confirm(args, session.stack, question=f"Break the lock of {holder}?")
    broken = lock.unlock(session.kube, stack=stack, namespace=namespace)
    print(f"stack {stack}: broke the lock of {broken or 'nobody'}; that run stops by itself if it still works")
    return 0
