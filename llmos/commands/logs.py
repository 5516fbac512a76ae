"""``logs``: what the stack's applications and model servers have written, each line with its pod and container."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

from llmos.cluster.contents import is_simulated
from llmos.console import note
from llmos.images import trial
from llmos.kube import KubeObject
from llmos.logs import LogOptions, Source, container_source, follow, pod_source
from llmos.session import Session, add_stack_arguments, open_session
from planner.faults import EnvironmentFault, Fault, UserFault, nearest

__all__ = ["add_arguments", "run"]

_NAME_LABEL = "app.kubernetes.io/name"
_DURATION = re.compile(r"(\d+(ms|s|m|h))+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="application or model; all of the stack by default")
    add_stack_arguments(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on showing lines as they come, until Ctrl-C")
    parser.add_argument("--since", type=_duration, metavar="10m", help="only lines of the last 10 minutes")
    parser.add_argument(
        "--previous", action="store_true", help="lines of each container before its last restart: why it ended"
    )
    parser.add_argument(
        "--tail", type=int, default=100, metavar="N", help="newest lines of each container, 100 by default; -1: all"
    )


def run(args: argparse.Namespace) -> int:
    if args.follow and args.previous:
        raise UserFault(
            Fault(what="--previous shows a container that has ended, which writes no more", where="logs --follow",
                  fix="leave out one of the two")
        )  # fmt: skip
    session = open_session(args, start=False)
    if args.name:
        _require_known(session, args.name)
    if session.kube is None:
        print(f"stack {session.stack.name}: the embedded cluster is not running; `python3 -m llmos up` starts it")
        return 0
    options = LogOptions(since=args.since or "", previous=args.previous, tail=args.tail)
    real, simulated = _pods(session, args.name)
    if simulated:
        names = ", ".join(sorted({pod["metadata"]["labels"].get(_NAME_LABEL, "") for pod in simulated}))
        note(f"pods of {names} are simulated ({len(simulated)}): they run no container and write no log")
    containers = [] if args.previous else _containers(session, args.name, options, following=args.follow)
    try:
        if args.follow:
            kube, name = session.kube, args.name
            follow(kube, lambda: _pods(session, name)[0], containers, options, write=_write, note=note)
        else:
            sources = [*(pod_source(session.kube, pod, options) for pod in real), *containers]
            _show(sources, anything=bool(real or simulated), where=f"stack {session.stack.name}")
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # What read the lines has ended (`| head`); Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"`{text}` is no duration such as 90s, 10m or 1h30m")
    return text


def _require_known(session: Session, name: str) -> None:
    plan = session.stack.plan
    known = [item.name for item in (*plan.applications, *plan.models)]
    if name not in known:
        raise UserFault(
            Fault(
                what=f"`{name}` is no application or model of the stack", where=session.stack.file.name,
                nearest=nearest(name, known), fix="name one of them, or none for all",
            )
        )


def _pods(session: Session, name: str | None) -> tuple[list[KubeObject], list[KubeObject]]:
    """The stack's pods that run on machines, and those on simulated nodes."""
    assert session.kube is not None, "callers check that the cluster answers"
    selector = f"app.kubernetes.io/instance={session.stack.name}"
    listed = session.kube.get("pods", "-n", session.stack.plan.namespace.name, "-l", selector)
    found = [pod for pod in listed if name is None or _belongs(pod, name, session)]
    # Only the embedded cluster has simulated nodes, and elsewhere one may not be allowed to list nodes.
    nodes = session.kube.get("nodes") if session.stack.plan.target == "local" else []
    silent = {node["metadata"]["name"] for node in nodes if is_simulated(node)}
    real = [pod for pod in found if pod["spec"].get("nodeName") not in silent]
    return real, [pod for pod in found if pod["spec"].get("nodeName") in silent]


def _belongs(pod: KubeObject, name: str, session: Session) -> bool:
    """Whether a pod is of an application or model: of one of its Deployments, or of what fetches its weights."""
    labels = pod["metadata"]["labels"]
    parts = [part.name for model in session.stack.plan.models if model.name == name for part in model.parts]
    fetches = labels.get("app.kubernetes.io/component") == "weights" and pod["spec"].get("serviceAccountName") == name
    return labels.get(_NAME_LABEL) in (name, *parts) or fetches


def _containers(session: Session, name: str | None, options: LogOptions, *, following: bool) -> list[Source]:
    """The real containers that run beside simulated pods."""
    found = trial.log_commands(session.stack.name) if session.simulated else {}
    return [
        container_source(application, command, env, options, following=following)
        for application, (command, env) in sorted(found.items()) if name in (None, application)
    ]  # fmt: skip


def _show(sources: Sequence[Source], *, anything: bool, where: str) -> None:
    """Print one log after the other; a pod that has none yet is no fault while others have some."""
    problems = {source.name: said for source in sources if (said := source.copy_lines(_write))}
    if sources and len(problems) == len(sources):
        what = "no log can be had:\n    " + "\n    ".join(f"{name}: {said}" for name, said in problems.items())
        raise EnvironmentFault(Fault(what=what, where=where, fix="`python3 -m llmos status` says how far each pod is"))
    for name, said in problems.items():
        note(f"{name}: {said}")
    if not anything:
        note(f"{where}: no pods; `python3 -m llmos up` deploys it")


def _write(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
