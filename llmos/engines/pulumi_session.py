"""A stack of the Pulumi CLI, opened in its workspace, and how a run of the CLI fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from llmos.engines import pulumi_cli, pulumi_workspace
from llmos.engines.base import EngineRun
from llmos.engines.pulumi_cluster import cluster_uid
from llmos.engines.pulumi_events import EventLog
from llmos.engines.pulumi_faults import explain
from llmos.engines.pulumi_recovery import break_stale_lock
from llmos.engines.pulumi_workspace import PulumiWorkspace

if TYPE_CHECKING:
    from pulumi.automation import Stack

__all__ = ["PulumiSession", "guarded", "open_stack"]

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class PulumiSession:
    """A stack opened in its workspace.

    ``moved`` says that the state is about a cluster that has been replaced: without a refresh, the engine would
    believe that everything is there already.
    """

    run: EngineRun
    workspace: PulumiWorkspace
    stack: Stack
    cluster_uid: str
    moved: bool


def open_stack(run: EngineRun) -> PulumiSession:
    """Select the stack, created when it is not there yet."""
    from pulumi.automation import CommandError, LocalWorkspace, Stack

    command = pulumi_cli.require()
    workspace = pulumi_workspace.prepare(run)
    local = LocalWorkspace(
        work_dir=str(workspace.folder), env_vars=workspace.env, pulumi_command=command,
        secrets_provider=workspace.secrets_provider or None,
    )  # fmt: skip
    try:
        stack = Stack.create_or_select(run.stack, local)
    except CommandError as error:
        raise explain(error, EventLog(progress=run.progress), run=run, doing="opening") from error
    uid = cluster_uid(run)
    moved = workspace.is_new_cluster(uid)
    return PulumiSession(run=run, workspace=workspace, stack=stack, cluster_uid=uid, moved=moved)


def guarded(work: Callable[[], _T], *, session: PulumiSession, log: EventLog, doing: str) -> _T:
    """Run the CLI; break the lock of a run on this machine that no longer lives, and turn failures into faults."""
    from pulumi.automation import CommandError, ConcurrentUpdateError

    try:
        try:
            return work()
        except ConcurrentUpdateError as error:
            break_stale_lock(error, stack=session.stack, run=session.run, folder=session.workspace.folder)
            return work()
    except CommandError as error:
        raise explain(error, log, run=session.run, doing=doing) from error
