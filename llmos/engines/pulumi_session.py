"""A stack of the Pulumi CLI, opened in its workspace, and how a run of the CLI fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from llmos.engines import pulumi_cli, pulumi_workspace
from llmos.engines.base import EngineRun
from llmos.engines.pulumi_cluster import cluster_uid
from llmos.engines.pulumi_events import EventLog
from llmos.engines.pulumi_faults import explain
from llmos.engines.pulumi_recovery import break_stale_lock
from llmos.engines.pulumi_workspace import PulumiWorkspace

if TYPE_CHECKING:
    from pulumi.automation import Stack

__all__ = ["PulumiSession", "guarded", "open_stack", "read_state", "write_state"]

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


def read_state(session: PulumiSession) -> dict[str, Any]:
    """The stack's state as `pulumi stack export` gives it: secrets stay encrypted, unlike with the Automation API's own
    export, which shows them."""
    said = _cli(session, "stack", "export", "--stack", session.run.stack, doing="reading the state")
    return json.loads(said)


def write_state(session: PulumiSession, state: dict[str, Any]) -> None:
    """Replace the stack's state by one that ``read_state`` gave and that was changed since."""
    file = session.workspace.folder / "state-to-import.json"
    file.touch(mode=0o600)
    try:
        file.write_text(json.dumps(state), encoding="utf-8")
        words = ("stack", "import", "--file", str(file), "--stack", session.run.stack)
        _cli(session, *words, doing="writing the state")
    finally:
        file.unlink(missing_ok=True)


def _cli(session: PulumiSession, *words: str, doing: str) -> str:
    workspace, log = session.stack.workspace, EventLog(progress=session.run.progress)
    return guarded(
        lambda: workspace.pulumi_command.run(list(words), workspace.work_dir, workspace.env_vars).stdout,
        session=session, log=log, doing=doing,
    )  # fmt: skip
