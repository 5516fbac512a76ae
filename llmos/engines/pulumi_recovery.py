"""After a run that was killed: its lock, and what it created without coming to note it in the state."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from llmos.engines.base import EngineRun
from planner.faults import EnvironmentFault, Fault

if TYPE_CHECKING:
    from pulumi.automation import Stack

__all__ = ["adopt_pending", "break_stale_lock"]

_HOLDER = re.compile(r"created by (?P<user>\S*)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")


def adopt_pending(deployment: dict[str, Any]) -> int:
    """Note pending creations of Kubernetes objects as made, in place; returns how many there were.

    Args:
        deployment: the state as exported; a refresh afterwards drops again what was not created after all.
    """
    pending = deployment.get("pending_operations") or []
    created = [each["resource"] for each in pending if each["type"] == "creating" and _kubernetes_id(each["resource"])]
    if not created:
        return 0
    known = {resource["urn"] for resource in deployment["resources"]}
    for resource in created:
        if resource["urn"] not in known:
            deployment["resources"].append({**resource, "id": _kubernetes_id(resource), "outputs": resource["inputs"]})
    deployment["pending_operations"] = [each for each in pending if each["resource"] not in created]
    return len(created)


def break_stale_lock(error: Exception, *, stack: Stack, run: EngineRun, folder: Path) -> None:
    """Cancel the run that holds the stack when it ran on this machine and no longer lives.

    Raises:
        EnvironmentFault: it may still live; names it, and the command that breaks its lock.
    """
    holder = _HOLDER.search(str(error))
    name = f"{holder['user']} on {holder['host']} (process {holder['pid']}) since {holder['since']}" if holder else ""
    if holder and holder["host"] == socket.gethostname() and not psutil.pid_exists(int(holder["pid"])):
        run.progress(f"breaking the lock of a run that no longer lives: {name}")
        stack.cancel()
        return
    fault = Fault(
        what=f"another run holds the stack: {name or 'its holder is not known'}",
        where=f"stack {run.stack}",
        nearest="wait for that run to end",
        fix=f"only when it is certainly dead: `pulumi cancel --yes --cwd {folder} {run.stack}`, then `up` again",
    )
    raise EnvironmentFault(fault) from error


def _kubernetes_id(resource: Mapping[str, Any]) -> str:
    """The provider's id of a Kubernetes object, which its metadata give; empty for anything else."""
    metadata = (resource.get("inputs") or {}).get("metadata") or {}
    if not resource["type"].startswith("kubernetes:") or not metadata.get("name"):
        return ""
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
