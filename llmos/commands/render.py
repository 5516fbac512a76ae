"""``render``: the stack as plain YAML, sorted and without secret values."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from llmos.builds import synth_preview
from llmos.kube import KubeObject
from llmos.objects import kubernetes_objects
from llmos.session import add_stack_arguments
from llmos.stacks import load_stack
from llmos.synth import UNKNOWN
from planner.faults import Fault, UserFault

__all__ = ["add_arguments", "render", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser, engine=False)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write one file per object instead of one stream")


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
    files = render(kubernetes_objects(program))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (args.out / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{len(files)} files in {args.out}", file=sys.stderr)
    else:
        print("---\n".join(files.values()), end="")
    return 0


def render(objects: list[KubeObject]) -> dict[str, str]:
    """File name -> YAML, in the order in which the objects are applied, and a kustomization that lists them.

    Secrets whose value the program makes are left out: a value must not lie in a file. The kustomization says so.
    """
    files = {
        f"{index:02d}-{item['kind'].lower()}-{item['metadata']['name']}.yaml": yaml.safe_dump(item, sort_keys=True)
        for index, item in enumerate(item for item in objects if item["kind"] != "Secret")
    }
    assert not any(UNKNOWN in text for text in files.values()), "callers render only what is known"
    secrets = [item["metadata"]["name"] for item in objects if item["kind"] == "Secret"]
    note = f"# Create these Secrets yourself: {', '.join(secrets)}\n" if secrets else ""
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": sorted(files),
    }
    return {**files, "kustomization.yaml": note + yaml.safe_dump(kustomization, sort_keys=True)}
