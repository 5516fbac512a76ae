"""``diff``: how the stack differs from what the cluster has, field by field; or how two stacks differ."""

from __future__ import annotations

import argparse
import difflib
import json
from itertools import groupby

import yaml

from llmos import report
from llmos.builds import synth_preview
from llmos.engines import kubectl, pulumi_diff
from llmos.session import add_stack_arguments, open_session
from llmos.stacks import load_stack
from planner.faults import Fault, UserFault

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "stacks", nargs="*", metavar="STACK",
        help="two stacks, to compare their settings, releases, sizing, limits and cost with each other instead",
    )
    add_stack_arguments(parser)
    parser.add_argument("--json", action="store_true", help="with two stacks: one JSON document on standard output")


def run(args: argparse.Namespace) -> int:
    if args.stacks:
        return _stacks(args)
    session = open_session(args, start=False)
    if session.stack.plan.aws:
        print("target aws: `preview` says what would change, `pulumi preview --diff` shows every field")
        return 0
    if session.kube is None:
        print("the embedded cluster is not running; everything would be created")
        return 0
    program, _ = synth_preview(session.stack)
    changed = 0
    differences = pulumi_diff.differences if session.engine.name == "pulumi" else kubectl.differences
    for key, (before, after) in differences(session.run, program).items():
        name = "/".join(filter(None, key))
        texts = [yaml.safe_dump(side, sort_keys=True).splitlines() if side else [] for side in (before, after)]
        lines = list(difflib.unified_diff(*texts, fromfile=f"cluster/{name}", tofile=f"stack/{name}", lineterm=""))
        changed += bool(lines)
        print("\n".join(lines), end="\n" if lines else "")
    print(f"{changed} objects differ")
    return 0


def _stacks(args: argparse.Namespace) -> int:
    from llmos.stack_diff import stack_differences

    if len(args.stacks) != 2:
        what = f"{len(args.stacks)} stack is named" if len(args.stacks) == 1 else f"{len(args.stacks)} stacks are named"
        fix = "name two, e.g. `diff dev prod`; `diff --stack NAME` compares one with its cluster"
        raise UserFault(Fault(what=what, where="diff", fix=fix))
    first, second = (load_stack(name) for name in args.stacks)
    rows = stack_differences(first, second)
    costs = {stack.name: stack.plan.usd_per_month for stack in (first, second)}
    if args.json:
        document = {"schema": 1, "stacks": args.stacks, "usd_per_month": costs, "differences": list(map(vars, rows))}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    console = report.console()
    for section, found in groupby(rows, key=lambda row: row.section):
        console.print(report.differences_table(section, args.stacks, list(found)))
    print(f"{len(rows)} differences")
    return 0
