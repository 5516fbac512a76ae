"""``cluster up|down|status``: the embedded cluster and what was started beside it."""

from __future__ import annotations

import argparse

from llmos.console import note
from planner.faults import Fault, UserFault
from planner.machine import local_cluster

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("up", "down", "status"), help="start it, remove it, or say what runs")
    parser.add_argument(
        "--real-node", action=argparse.BooleanOptionalAction, default=None,
        help="with up: a real node beside the simulated ones; by default on Linux as root",
    )
    parser.add_argument(
        "--real-nodes", type=int, metavar="N",
        help="with up: how many real nodes, 0 to 4, to see what happens when one of them fails; 1 by default",
    )
    parser.add_argument("--kind", action="store_true", help="use kind, where it is installed, instead")


def run(args: argparse.Namespace) -> int:
    from llmos.cluster import embedded, kind

    if args.kind and (args.real_node is not None or args.real_nodes is not None):
        what = "the nodes of a kind cluster are containers, all of them real: there is nothing to choose"
        raise UserFault(Fault(what=what, where="--kind", fix="leave --real-node and --real-nodes out"))
    module, name = (kind if args.kind else embedded), local_cluster()
    if args.action == "up":
        options = {} if args.kind else {"real": args.real_node, "nodes": args.real_nodes}
        print(module.up(name=name, install=not args.no_install, progress=note, **options))
    elif args.action == "status":
        print(module.status(name=name))
    else:
        _down(module, name)
    return 0


def _down(module: object, name: str) -> None:
    """Take down the cluster, the containers of its stacks, and the registry and Docker engine that ``up`` started."""
    from llmos.images import engine, registry, trial

    trial.remove_all()
    was_there = module.down(name=name, progress=note)
    for stopped, what in ((registry.stop_registry(), "local image registry"), (engine.stop_engine(), "Docker engine")):
        if stopped:
            note(f"stopped the {what}")
    print(f"cluster `{name}` is gone" if was_there else f"there is no cluster `{name}`")
