"""``test``: the project's tests, in the project's environment."""

from __future__ import annotations

import argparse
import subprocess
import sys

from llmos.bootstrap import ensure_requirements
from llmos.paths import PROJECT_ROOT

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pytest", nargs="*", metavar="-- ARGS", help="handed to pytest")


def run(args: argparse.Namespace) -> int:
    ensure_requirements("requirements-dev.txt", install=not args.no_install)
    return subprocess.run([sys.executable, "-m", "pytest", *args.pytest], cwd=PROJECT_ROOT, check=False).returncode
