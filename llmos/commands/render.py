"""``render``: the stack as plain YAML, sorted and without secret values."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmos.builds import require_release, synth_preview
from llmos.console import note
from llmos.gitops import TOOLS, render_gitops, write_gitops
from llmos.objects import kubernetes_objects
from llmos.rendering import KUSTOMIZATION, left_out, render, write_files
from llmos.session import add_stack_arguments
from llmos.stacks import Stack, load_stack
from llmos.synth import Program
from planner.faults import Fault, UserFault

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser, engine=False)
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="write one file per object; files of an earlier rendering that are no longer needed are removed",
    )
    parser.add_argument(
        "--gitops", choices=TOOLS,
        help="with --out: files for Argo CD (sync waves) or Flux (dependsOn), secrets as ExternalSecret references",
    )


def run(args: argparse.Namespace) -> int:
    stack = load_stack(args.stack, file=args.file)
    require_release(stack)
    program, not_built = synth_preview(stack)
    if not_built:
        raise UserFault(
            Fault(
                what=f"image {', '.join(not_built)} is not built, so its digest is not known and none is invented",
                where=stack.file.name, fix="run `python3 -m llmos build` first",
            )
        )
    if args.gitops:
        return _gitops(args, stack, program)
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


def _gitops(args: argparse.Namespace, stack: Stack, program: Program) -> int:
    if not args.out:
        what = "a tool that follows files needs a folder of them"
        raise UserFault(Fault(what=what, where="render --gitops", fix=f"add --out deploy/{stack.name}"))
    folders = render_gitops(args.gitops, stack, program)
    removed = write_gitops(folders, args.out, stack=stack.name)
    count = sum(len(files) for files in folders.values())
    note(f"{count} files in {args.out}" + (f"; removed {', '.join(removed)}" if removed else ""))
    return 0
