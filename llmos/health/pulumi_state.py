"""What the pulumi engine's state tells: its secrets, its lock, operations that never ended, drift from the cluster."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from llmos.engines import pulumi_inspect, pulumi_workspace
from llmos.engines.base import EngineRun
from llmos.engines.pulumi_workspace import PulumiWorkspace
from llmos.health.finding import Finding, of_error
from planner.faults import LlmosError

__all__ = ["pulumi_findings"]


def pulumi_findings(run: EngineRun, *, drift: bool) -> Iterator[Finding]:
    """Findings about the state of a stack; ``drift`` asks the cluster about every object."""
    again = f"python3 -m llmos doctor --stack {run.stack}"
    try:
        workspace = pulumi_workspace.prepare(run)
    except LlmosError as error:
        yield of_error("secrets and state", error, again=again)
        return
    yield Finding(check="state", state="ok", text=f"kept in {workspace.backend or 'the cache of this machine'}")
    yield _lock(run, workspace)
    try:
        pending = pulumi_inspect.pending_operations(run)
        yield _pending(run, workspace, pending)
        if drift and not pending:
            yield _drift(run)
    except LlmosError as error:
        yield of_error("state", error, again=again)


def _lock(run: EngineRun, workspace: PulumiWorkspace) -> Finding:
    url = workspace.backend or workspace.local_state
    if not url.startswith("file://"):
        text = "this kind of backend tells a held lock when an operation begins, which then names its holder"
        return Finding(check="lock", state="unknown", text=text)
    folder = Path(url.removeprefix("file://")) / ".pulumi" / "locks"
    held = [path for path in folder.rglob("*.json") if path.parent.name == run.stack]
    if not held:
        return Finding(check="lock", state="ok", text="nobody holds it")
    holders = [_read(path) for path in held]
    text = f"held by {'; '.join(_said(holder) for holder in holders)}"
    if all(map(_died_here, holders)):
        return Finding(
            check="lock", state="wrong", text=f"{text}, which no longer lives",
            mend=(
                f"python3 -m llmos up --stack {run.stack} --engine pulumi, which breaks it by itself",
                f"with plain Pulumi: {_cancel(run, workspace)}",
            ),
        )  # fmt: skip
    return Finding(
        check="lock", state="wrong", text=text,
        mend=("wait for that run to end", f"only when it is certainly dead: {_cancel(run, workspace)}"),
    )  # fmt: skip


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(holder: Mapping[str, Any]) -> str:
    if not {"username", "hostname", "pid", "timestamp"} <= holder.keys():
        return "somebody"
    return f"{holder['username']}@{holder['hostname']} (process {holder['pid']}) since {holder['timestamp']}"


def _died_here(holder: Mapping[str, Any]) -> bool:
    """Whether it ran on this machine and its process is gone, as an `up` finds out as well."""
    pid = holder.get("pid")
    return holder.get("hostname") == socket.gethostname() and isinstance(pid, int) and not psutil.pid_exists(pid)


def _cancel(run: EngineRun, workspace: PulumiWorkspace) -> str:
    return f"pulumi cancel --yes --cwd {workspace.folder} {run.stack}"


def _pending(run: EngineRun, workspace: PulumiWorkspace, pending: list[str]) -> Finding:
    if not pending:
        return Finding(check="pending operations", state="ok", text="none")
    return Finding(
        check="pending operations", state="wrong",
        text=f"a run broke off while it was {', '.join(pending[:5])}{' and others' if len(pending) > 5 else ''}",
        mend=(
            f"python3 -m llmos up --stack {run.stack} --engine pulumi, which adopts what exists and drops the rest",
            f"with plain Pulumi: pulumi refresh --cwd {workspace.folder} --stack {run.stack}",
        ),
    )  # fmt: skip


def _drift(run: EngineRun) -> Finding:
    changed = [action for action in pulumi_inspect.drift(run) if action.action != "same"]
    if not changed:
        return Finding(check="drift", state="ok", text="every object is as the last `up` left it")
    names = [f"{action.kind} {action.name}" for action in changed]
    return Finding(
        check="drift", state="wrong",
        text=f"{len(names)} objects were changed or deleted since: {', '.join(names[:8])}"
        f"{' and others' if len(names) > 8 else ''}",
        mend=(
            f"note it in the state: python3 -m llmos refresh --stack {run.stack} --engine pulumi",
            f"put it back: python3 -m llmos up --stack {run.stack} --engine pulumi",
        ),
    )  # fmt: skip
