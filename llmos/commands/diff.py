"""``diff``: how the stack differs from what the cluster has, field by field."""

from __future__ import annotations

import argparse
import difflib

import yaml

from llmos.builds import synth_preview
from llmos.engines import kubectl, pulumi_diff
from llmos.session import add_stack_arguments, open_session

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)


def run(args: argparse.Namespace) -> int:
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
