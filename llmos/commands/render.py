"""``render``: the stack as plain YAML, sorted and without secret values."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmos.builds import synth_preview
from llmos.console import note
from llmos.objects import kubernetes_objects
from llmos.rendering import KUSTOMIZATION, left_out, render, write_files
from llmos.session import add_stack_arguments
from llmos.stacks import load_stack
from planner.faults import Fault, UserFault

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser, engine=False)
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="write one file per object; files of an earlier rendering that are no longer needed are removed",
    )


def run(args: argparse.Namespace) -> int:
    stack = load_stack(args.stack, file=args.file)
    program, not_built = synth_preview(stack)
    if not_built:
        raise UserFault(
            Fault(
                what=f"image {', '.join(not_built)} is not built, so its digest is not known and none is invented",
                where=stack.file.name, fix="run `python3 -m llmos build` first",
            )
        )
    objects = kubernetes_objects(program)
    files = render(objects)
    if args.out:
        removed = write_files(files, args.out, stack=stack.name)
        gone = f"; removed {', '.join(removed)}" if removed else ""
        note(f"{len(files)} files in {args.out}{gone}; `kubectl apply -k {args.out}` applies them")
    else:
        print("---\n".join(text for name, text in files.items() if name != KUSTOMIZATION), end="")
    if secrets := left_out(objects):
        note(f"not rendered, because a secret value must not lie in a file: Secret {', '.join(secrets)}")
    return 0
