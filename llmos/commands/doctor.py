"""``doctor``: what was found, what is missing, and which engine and cluster would be taken. Changes nothing."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import shutil
import sys

from llmos.engines import choose
from llmos.paths import cache_dir
from llmos.session import add_stack_arguments
from llmos.stacks import load_stack, locate_stack
from planner.faults import LlmosError
from planner.machine import local_cluster

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)
    parser.set_defaults(stack=None)
    parser.add_argument(
        "--no-drift", action="store_true", help="with --stack: do not ask the cluster about every single object"
    )
    parser.add_argument("--json", action="store_true", help="with --stack: one JSON document on standard output")


def run(args: argparse.Namespace) -> int:
    if args.stack or args.file:
        return _stack(args)
    args.stack = "dev"
    for name, text in _findings(args):
        print(f"{name:<18} {text}")
    return 0


def _stack(args: argparse.Namespace) -> int:
    """Whether this stack could be deployed now: exit code 1 where something has to be mended first."""
    from llmos.health.stack import stack_findings

    args.stack, _ = locate_stack(args.stack, file=args.file)
    found = list(stack_findings(args, drift=not args.no_drift))
    if args.json:
        rows = [dataclasses.asdict(finding) for finding in found]
        print(json.dumps({"schema": 1, "stack": args.stack, "findings": rows}, indent=2))
    else:
        for finding in found:
            print(f"{finding.check:<18} {finding.state:<8} {finding.text}")
            for number, command in enumerate(finding.mend):
                print(f"{'':<18} {'to mend:' if number == 0 else '':<8} {command}")
    return int(any(finding.state == "wrong" for finding in found))


def _findings(args: argparse.Namespace) -> list[tuple[str, str]]:
    rows = [
        ("python", f"{platform.python_version()} at {sys.executable}"),
        ("system", f"{platform.system()} {platform.release()} on {platform.machine()}"),
        ("cache", f"{cache_dir()}, {shutil.disk_usage(cache_dir()).free / 2**30:.0f} GiB free"),
    ]
    choice = choose(args.engine)
    rows.append(("engine", f"{choice.name} ({choice.why})"))
    rows += [("docker engine", _docker()), ("image registry", _registry())]
    try:
        stack = load_stack(args.stack, file=args.file)
    except LlmosError as error:
        return [*rows, ("stack", f"{len(error.faults)} faults; `python3 -m llmos preview` lists them")]
    plan = stack.plan
    rows.append(("stack", f"{stack.file.name}: valid, target {plan.target}, environment {plan.environment}"))
    return rows + (_embedded() if plan.target == "local" else _context(args))


def _docker() -> str:
    from llmos.images.engine import find_engine

    found = find_engine()
    if found is None:
        return "none answers; `up` starts one from Debian's packages (Linux, root)"
    return f"version {found.version} answers (client {found.client})"


def _registry() -> str:
    from llmos.images.registry import find_registry

    found = find_registry()
    return f"runs at {found.address}" if found else "not running; `up` starts it"


def _embedded() -> list[tuple[str, str]]:
    from llmos.cluster import embedded
    from llmos.cluster.binaries import find
    from llmos.cluster.versions import NODE_PROGRAMS, PROGRAMS

    programs = (*PROGRAMS, *NODE_PROGRAMS)
    rows = [(f"  {item.name}", str(find(item) or f"missing; `up` provides {item.version}")) for item in programs]
    rows.append(("real node", _real_node()))
    try:
        status = str(embedded.status(name=local_cluster())).splitlines()[0]
    except LlmosError as error:
        return [("cluster", f"{error.faults[0]}")]
    return [("cluster programs", "of the embedded cluster:"), *rows, ("cluster", status)]


def _real_node() -> str:
    from llmos.cluster import real_node
    from llmos.cluster.node import able

    name = local_cluster()
    if processes := real_node.processes(name):
        stopped = ", ".join(process.name for process in processes if not process.running)
        nodes = ", ".join(layout.name for layout in real_node.layouts_of(name))
        if stopped:
            return f"{nodes}: {stopped} stopped; `python3 -m llmos cluster up` starts what is missing"
        return f"{nodes}: all programs run; network policies {real_node.enforcement(name)}"
    try:
        able.require(real_node.layout_of(name))
    except LlmosError as error:
        return f"not here, so nodes are simulated: {error.faults[0].what}"
    missing = able.missing_packages()
    return f"possible; `up` installs {', '.join(missing)}" if missing else "possible: pods without GPUs really run"


def _context(args: argparse.Namespace) -> list[tuple[str, str]]:
    from llmos.session import open_session

    try:
        session = open_session(args, start=False)
        if session.kube is None:
            return [("cluster", f"{session.cluster}: not asked; Pulumi reaches it through AWS")]
        return [("cluster", f"{session.cluster}: {session.kube.version()}")]
    except LlmosError as error:
        return [("cluster", error.faults[0].what)]
