"""The `pulumi` engine: the unchanged program, run by the Pulumi CLI through the Automation API.

It brings state, diff, secrets and the policy pack, and works on the same stack as plain `pulumi up`. The Automation
API takes half a second to import, so only functions that start the CLI import it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmos.engines import gates, pulumi_workspace
from llmos.engines.base import EngineAction, EngineResult, EngineRun
from llmos.engines.canary import Canaries
from llmos.engines.counts import release
from llmos.engines.kubectl import kube_of
from llmos.engines.pulumi_canary import try_out
from llmos.engines.pulumi_cluster import refuse_foreign_namespace
from llmos.engines.pulumi_events import EventLog
from llmos.engines.pulumi_faults import errors, violations
from llmos.engines.pulumi_leaving import made_room
from llmos.engines.pulumi_managers import hand_over
from llmos.engines.pulumi_protection import kept, release_deployments, release_named
from llmos.engines.pulumi_recovery import adopt_pending
from llmos.engines.pulumi_session import PulumiSession, guarded, open_stack, read_state, write_state
from llmos.engines.pulumi_validate import claims_on_counts, validated
from llmos.engines.pulumi_workspace import PATCH_FORCE
from llmos.synth import Program
from planner.faults import Fault, UserFault

if TYPE_CHECKING:
    from pulumi.automation import OutputValue

__all__ = ["PulumiStatus", "destroy", "preview", "refresh", "status", "up"]

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


def preview(run: EngineRun, *, program: Program | None = None, refuse: bool = True) -> tuple[EngineAction, ...]:
    """What `up` would do to each object; changes nothing.

    Args:
        run: stack and cluster.
        program: as synthesised for a preview; its objects are shown to the API server where there is kubectl.
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
    return _preview(open_stack(run), program=program, refuse=refuse)


def up(
    run: EngineRun, *, program: Program | None = None, previewed: bool = False, canaries: Canaries | None = None
) -> EngineResult:
    """Create or update the stack.

    A preview always comes first, because policies about the whole stack (budgets) are asked at the end of a run, and
    at the end of an update it is too late. ``previewed`` says that the caller has just done that; ``program`` as for
    ``preview``; ``canaries`` of applications whose new version is tried first.

    Raises:
        UserFault, EnvironmentFault: as for ``preview``; also for each object that was refused or did not become ready,
            and for a canary that is stopped.
    """
    started = time.monotonic()
    refuse_foreign_namespace(run)
    session = open_stack(run)
    _adopt_pending(session)
    release_named(session, run.allow_replace)
    hand_over(session)
    log = EventLog(progress=run.progress)
    actions = () if previewed else _preview(session, program=program, said=log.said)
    if program and canaries:
        try_out(session, program, canaries)
    if program:
        release(kube_of(run), claims_on_counts(run, program))
    with made_room(run, actions):
        done = guarded(
            lambda: session.stack.up(
                on_event=log.feed, policy_packs=[str(run.policy_pack)], policy_pack_configs=[str(run.policy_config)],
                refresh=session.moved, color="never", show_secrets=False, suppress_outputs=True, suppress_progress=True,
            ),
            session=session, log=log, doing="up",
        )  # fmt: skip
    session.workspace.remember_cluster(session.cluster_uid)
    hand_over(session)
    return EngineResult(
        actions=log.actions(), outputs=_masked(done.outputs), duration_seconds=time.monotonic() - started
    )


def destroy(run: EngineRun) -> EngineResult:
    """Delete every object of the stack, and the state when it lives in the user's cache.

    With a backend of the user's own the stack and its history stay; `pulumi stack rm` removes them. Outside dev the
    namespace, weights and repositories stay as well: they are protected, and workloads are not once this is asked for.

    Raises:
        EnvironmentFault: an object could not be deleted; the state keeps it, so that `destroy` can be run again.
    """
    started = time.monotonic()
    session = open_stack(run)
    log = EventLog(progress=run.progress)
    durable = run.environment != "dev"
    if durable:
        release_deployments(session)
    guarded(
        lambda: session.stack.destroy(
            on_event=log.feed, refresh=session.moved, exclude_protected=durable, color="never", show_secrets=False,
            suppress_progress=True,
        ),
        session=session, log=log, doing="destroy",
    )  # fmt: skip
    left = tuple(kept(session)) if durable else ()
    if not session.workspace.backend:
        pulumi_workspace.forget(run)
    duration = time.monotonic() - started
    return EngineResult(actions=log.actions(), outputs={}, duration_seconds=duration, left=left)


def refresh(run: EngineRun) -> EngineResult:
    """Bring the state up to what the cluster has, and drop creations that a killed run left pending.

    An action of the result says what the cluster had done: ``update`` changed the object, ``delete`` lost it.
    """
    started = time.monotonic()
    session = open_stack(run)
    log = EventLog(progress=run.progress, announce=False)
    guarded(
        lambda: session.stack.refresh(
            on_event=log.feed, clear_pending_creates=True, color="never", show_secrets=False, suppress_progress=True
        ),
        session=session, log=log, doing="refresh",
    )  # fmt: skip
    outputs = _masked(session.stack.outputs())
    return EngineResult(actions=log.actions(), outputs=outputs, duration_seconds=time.monotonic() - started)


def status(run: EngineRun) -> PulumiStatus:
    """What the state knows of the stack; asks neither the cluster nor the program."""
    session = open_stack(run)
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


def _preview(
    session: PulumiSession, *, program: Program | None = None, refuse: bool = True, said: set[str] | None = None
) -> tuple[EngineAction, ...]:
    run = session.run
    log = EventLog(progress=run.progress, findings=refuse, said=set() if said is None else said)
    env = session.stack.workspace.env_vars
    if program:
        # The provider stops at the first conflict and names no object; `validated` finds all of them.
        env[PATCH_FORCE] = "true"
    try:
        guarded(
            lambda: session.stack.preview(
                on_event=log.feed, policy_packs=[str(run.policy_pack)], policy_pack_configs=[str(run.policy_config)],
                refresh=session.moved, color="never", suppress_outputs=True, suppress_progress=True,
            ),
            session=session, log=log, doing="preview",
        )  # fmt: skip
    except UserFault:
        # Broken policies and replaces are findings, for the caller to show or for below to refuse by name.
        if errors(log, allowed=run.allow_replace) or not (violations(log.violations) or errors(log)):
            raise
    finally:
        if not run.force_conflicts:
            env.pop(PATCH_FORCE, None)
    if refuse and (broken := violations(log.violations)):
        raise UserFault(broken)
    actions = validated(run, program, log.actions()) if program else log.actions()
    if refuse:
        gates.refuse(actions, run)
    return actions


def _adopt_pending(session: PulumiSession) -> None:
    """Note in the state what a killed run created without coming to note it; else `up` fails with "already exists".

    The refresh afterwards drops again what was not created after all.
    """
    state = read_state(session)
    adopted = adopt_pending(state["deployment"])
    if not adopted:
        return
    session.run.progress(f"looking for {adopted} objects that a killed run may have created")
    log = EventLog(progress=session.run.progress)
    write_state(session, state)
    guarded(
        lambda: session.stack.refresh(on_event=log.feed, color="never", show_secrets=False, suppress_progress=True),
        session=session, log=log, doing="refresh",
    )  # fmt: skip
