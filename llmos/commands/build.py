"""``build``: build and push the images of a stack, and print their digests."""

from __future__ import annotations

import argparse

from llmos import builds
from llmos.images.signing import sign
from llmos.session import add_stack_arguments
from llmos.stacks import load_stack

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser, engine=False)


def run(args: argparse.Namespace) -> int:
    stack = load_stack(args.stack, file=args.file)
    install = not args.no_install
    if stack.plan.target == "local":
        builds.name_registry(install=install)
    preview, _ = builds.synth_preview(stack)
    built = builds.build_images(stack, preview, install=install)
    if stack.settings.builds.signing_key:
        sign([image.ref for image in built.values()], key=stack.settings.builds.signing_key)
    for name, image in sorted(built.items()):
        print(f"{name} {image.ref}")
    return 0
