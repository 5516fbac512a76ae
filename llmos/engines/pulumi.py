"""The `pulumi` engine: the unchanged program, run by the Pulumi CLI through the Automation API.

It brings state, diff, secrets and the policy pack, and works on the same stack as plain `pulumi up`. The Automation
API takes half a second to import, so only functions that start the CLI import it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from llmos.engines import pulumi_cli, pulumi_workspace
from llmos.engines.base import EngineAction, EngineResult, EngineRun
from llmos.engines.pulumi_cluster import cluster_uid, refuse_foreign_namespace
from llmos.engines.pulumi_events import EventLog
from llmos.engines.pulumi_faults import explain, violations
from llmos.engines.pulumi_recovery import adopt_pending, break_stale_lock
from llmos.engines.pulumi_workspace import PulumiWorkspace
from llmos.engines.replaces import refuse_replaces
from planner.faults import Fault, UserFault

if TYPE_CHECKING:
    from pulumi.automation import OutputValue, Stack

__all__ = ["PulumiStatus", "destroy", "preview", "refresh", "status", "up"]

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class PulumiStatus:
    """What the state knows.

    Attributes:
        backend: URL of the state backend; empty for the state in the user's cache.
        last: what was done last, e.g. ``update``; empty when nothing was.
        result: ``succeeded``, ``failed`` or ``in-progress``.
        finished: when, ISO 8601 in UTC.
        outputs: the program's exports, secrets masked.
    """

    backend: str
    last: str
    result: str
    finished: str
    outputs: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class _Session:
    """A stack opened in its workspace.

    ``moved`` says that the state is about a cluster that has been replaced: without a refresh, the engine would
    believe that everything is there already.
    """

    run: EngineRun
    workspace: PulumiWorkspace
    stack: Stack
    cluster_uid: str
    moved: bool


def preview(run: EngineRun, *, refuse: bool = True) -> tuple[EngineAction, ...]:
    """What `up` would do to each object; changes nothing.

    Args:
        run: stack and cluster.
        refuse: raise for mandatory policies and for replaces that are not allowed; false for a caller that has asked
            the policies itself and shows what they refuse beside the actions.

    Raises:
        UserFault: as above, or the program refuses its input; one fault for each.
        EnvironmentFault: the CLI, a plugin, the state backend or the cluster is missing or fails.
    """
    if run.offline:
        where = f"preview of stack {run.stack}"
        fix = "leave out --offline, or take `--engine kubectl`"
        raise UserFault(Fault(what="the pulumi engine asks the cluster and the state", where=where, fix=fix))
    refuse_foreign_namespace(run)
    return _preview(_open(run), refuse=refuse)


def up(run: EngineRun, *, previewed: bool = False) -> EngineResult:
    """Create or update the stack.

    A preview always comes first, because policies about the whole stack (budgets) are asked at the end of a run, and
    at the end of an update it is too late. ``previewed`` says that the caller has just done that.

    Raises:
        UserFault, EnvironmentFault: as for ``preview``; also for each object that was refused or did not become ready.
    """
    started = time.monotonic()
    refuse_foreign_namespace(run)
    session = _open(run)
    _adopt_pending(session)
    if not previewed:
        _preview(session)
    log = EventLog(progress=run.progress)
    done = _guarded(
        lambda: session.stack.up(
            on_event=log.feed, policy_packs=[str(run.policy_pack)], policy_pack_configs=[str(run.policy_config)],
            refresh=session.moved, color="never", show_secrets=False, suppress_outputs=True, suppress_progress=True,
        ),
        session=session, log=log, doing="up",
    )  # fmt: skip
    session.workspace.remember_cluster(session.cluster_uid)
    return EngineResult(
        actions=log.actions(), outputs=_masked(done.outputs), duration_seconds=time.monotonic() - started
    )


def destroy(run: EngineRun) -> EngineResult:
    """Delete every object of the stack, and the state when it lives in the user's cache.

    With a backend of the user's own the stack and its history stay; `pulumi stack rm` removes them.

    Raises:
        EnvironmentFault: an object could not be deleted; the state keeps it, so that `destroy` can be run again.
    """
    started = time.monotonic()
    session = _open(run)
    log = EventLog(progress=run.progress)
    _guarded(
        lambda: session.stack.destroy(
            on_event=log.feed, refresh=session.moved, color="never", show_secrets=False, suppress_progress=True
        ),
        session=session, log=log, doing="destroy",
    )  # fmt: skip
    if not session.workspace.backend:
        pulumi_workspace.forget(run)
    return EngineResult(actions=log.actions(), outputs={}, duration_seconds=time.monotonic() - started)


def refresh(run: EngineRun) -> EngineResult:
    """Bring the state up to what the cluster has, and drop creations that a killed run left pending.

    An action of the result says what the cluster had done: ``update`` changed the object, ``delete`` lost it.
    """
    started = time.monotonic()
    session = _open(run)
    log = EventLog(progress=run.progress, announce=False)
    _guarded(
        lambda: session.stack.refresh(
            on_event=log.feed, clear_pending_creates=True, color="never", show_secrets=False, suppress_progress=True
        ),
        session=session, log=log, doing="refresh",
    )  # fmt: skip
    outputs = _masked(session.stack.outputs())
    return EngineResult(actions=log.actions(), outputs=outputs, duration_seconds=time.monotonic() - started)


def status(run: EngineRun) -> PulumiStatus:
    """What the state knows of the stack; asks neither the cluster nor the program."""
    session = _open(run)
    last = session.stack.info(show_secrets=False)
    return PulumiStatus(
        backend=session.workspace.backend,
        last=last.kind if last else "",
        result=last.result if last else "",
        finished=last.end_time.isoformat(timespec="seconds") if last and last.end_time else "",
        outputs=_masked(session.stack.outputs()),
    )


def _masked(outputs: Mapping[str, OutputValue]) -> Mapping[str, object]:
    return {name: "[secret]" if output.secret else output.value for name, output in outputs.items()}


def _preview(session: _Session, *, refuse: bool = True) -> tuple[EngineAction, ...]:
    run = session.run
    log = EventLog(progress=run.progress)
    try:
        _guarded(
            lambda: session.stack.preview(
                on_event=log.feed, policy_packs=[str(run.policy_pack)], policy_pack_configs=[str(run.policy_config)],
                refresh=session.moved, color="never", suppress_outputs=True, suppress_progress=True,
            ),
            session=session, log=log, doing="preview",
        )  # fmt: skip
    except UserFault:
        # Broken policies are the caller's to show; an object that the engine refuses is an error in any case.
        if refuse or log.errors or not violations(log.violations):
            raise
    if refuse:
        broken = violations(log.violations)
        if broken:
            raise UserFault(broken)
        refuse_replaces(log.actions(), allowed=run.allow_replace)
    return log.actions()


def _open(run: EngineRun) -> _Session:
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
    return _Session(run=run, workspace=workspace, stack=stack, cluster_uid=uid, moved=workspace.is_new_cluster(uid))


def _guarded(work: Callable[[], _T], *, session: _Session, log: EventLog, doing: str) -> _T:
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


def _adopt_pending(session: _Session) -> None:
    """Note in the state what a killed run created without coming to note it; else `up` fails with "already exists".

    The refresh afterwards drops again what was not created after all.
    """
    exported = session.stack.export_stack()
    adopted = adopt_pending(exported.deployment or {})
    if not adopted:
        return
    session.run.progress(f"looking for {adopted} objects that a killed run may have created")
    log = EventLog(progress=session.run.progress)
    _guarded(lambda: session.stack.import_stack(exported), session=session, log=log, doing="recovery")
    _guarded(
        lambda: session.stack.refresh(on_event=log.feed, color="never", show_secrets=False, suppress_progress=True),
        session=session, log=log, doing="refresh",
    )  # fmt: skip
