"""The command line: one module per command under ``llmos.commands``, imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

__all__ = ["COMMANDS", "build_parser", "run"]

COMMANDS = {
    "up": "build, deploy and wait until everything runs (the main command)",
    "preview": "show what up would do, which hardware was chosen and why, policies and cost",
    "destroy": "remove the stack",
    "status": "show what runs, where, since when, and how to reach it",
    "logs": "show what the stack's applications and model servers write",
    "refresh": "bring the pulumi engine's state up to what the cluster has",
    "diff": "show how the stack differs from the cluster, or two stacks from each other",
    "size": "choose hardware for models with hardware: auto, say why, and keep it in the lock",
    "promote": "make what one stack runs the release of another: the same digests, verified",
    "render": "write the stack as plain YAML",
    "check": "hold YAML files against the policies",
    "build": "build and push the stack's images",
    "cluster": "start, stop and look at the embedded cluster",
    "aws": "print what deploying a stack on AWS needs to be allowed, or draw its dashboard",
    "unlock": "break the lock of a run that is certainly dead",
    "doctor": "say what was found, what is missing, and which engine and cluster would be taken",
    "test": "run the project's tests; arguments after -- go to pytest",
}


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; only the module of ``command`` is imported, the others are listed by their one line of help."""
    parser = argparse.ArgumentParser(
        prog="python3 -m llmos", description="Deploy LLM applications and the models behind them from one stack file."
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
        _common(subparser)
        if name == command:
            module = importlib.import_module(f"llmos.commands.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Wrong usage exits with 1, as every fault of the user's does."""
    command = next((word for word in arguments if not word.startswith("-")), None)
    try:
        parsed = build_parser(command).parse_args(list(arguments))
    except SystemExit as stop:
        return 1 if stop.code else 0
    return parsed.run(parsed)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-install", action="store_true", help="install and download nothing; say what is missing")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
