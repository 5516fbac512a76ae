"""``aws permissions|dashboard``: what a stack on AWS asks of its deployer, and a picture of its dashboard."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from llmos.builds import synth_preview
from llmos.session import add_stack_arguments
from llmos.stacks import Stack, load_stack
from llmos.synth import Program
from planner.faults import Fault, UserFault

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=("permissions", "dashboard"),
        help="print the IAM policy of whoever deploys the stack, or draw the panels that its Grafana gets",
    )
    add_stack_arguments(parser, engine=False)
    parser.add_argument("--prometheus", metavar="URL", help="with dashboard: the Prometheus that is asked")
    parser.add_argument("--hours", type=float, default=6, help="with dashboard: how far back; 6 by default")
    parser.add_argument("--out", type=Path, metavar="PNG", help="with dashboard: the picture's file")


def run(args: argparse.Namespace) -> int:
    stack = load_stack(args.stack, file=args.file)
    if stack.plan.aws is None:
        raise UserFault(
            Fault(
                what=f"target {stack.plan.target} has nothing on AWS", where=stack.file.name,
                fix="name a stack of target aws",
            )
        )
    program, _ = synth_preview(stack)
    if args.action == "permissions":
        from llmos.deployer import deployer_policy

        print(json.dumps(deployer_policy(stack.plan, program), indent=2))
    else:
        _draw(stack, program, args)
    return 0


def _draw(stack: Stack, program: Program, args: argparse.Namespace) -> None:
    from llmos.dashboards import dashboard_of, draw, prometheus

    if not args.prometheus or not args.out:
        raise UserFault(
            Fault(
                what="a dashboard is drawn from a Prometheus into a file, and one of them is not named",
                where="aws dashboard", fix="add --prometheus URL --out dashboard.png",
            )
        )
    found = dashboard_of(program)
    if found is None:
        fix = "set observability: {scrape: {by: pod-monitor}} on target aws"
        raise UserFault(Fault(what="the stack brings no dashboard", where=stack.file.name, fix=fix))
    now = time.time()
    filled = draw(found, prometheus(args.prometheus, hours=args.hours, now=now), out=args.out, now=now)
    print(f"{args.out}: {filled} of {len(found['panels'])} panels have data")
