"""The `pulumi` engine: the unchanged program, run by the Pulumi CLI through the Automation API.

It brings state, diff, secrets and the policy pack, and works on the same stack as plain `pulumi up`. The Automation
API takes half a second to import, so only functions that start the CLI import it.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import psutil

from llmos.engines import pulumi_cli, pulumi_workspace
from llmos.engines.base import ENGINE_LABEL, EngineAction, EngineResult, EngineRun
from llmos.engines.pulumi_events import EventLog
from llmos.engines.pulumi_faults import explain, violations
from llmos.engines.pulumi_workspace import PulumiWorkspace
from llmos.process import run as run_program
from planner.faults import EnvironmentFault, Fault, UserFault

if TYPE_CHECKING:
    from pulumi.automation import CommandError, Stack

__all__ = ["PulumiStatus", "destroy", "outputs", "preview", "refresh", "status", "up"]

_T = TypeVar("_T")
_HOLDER = re.compile(r"created by (?P<user>\S*)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")


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


def preview(run: EngineRun) -> tuple[EngineAction, ...]:
    """What `up` would do to each object; changes nothing.

    Raises:
        UserFault: a mandatory policy is broken, or the program refuses its input; one fault for each.
        EnvironmentFault: the CLI, a plugin, the state backend or the cluster is missing or fails.
    """
    if run.offline:
        where = f"preview of stack {run.stack}"
        fix = "leave out --offline, or take `--engine kubectl`"
        raise UserFault(Fault(what="the pulumi engine asks the cluster and the state", where=where, fix=fix))
    _refuse_foreign_namespace(run)
    return _preview(_open(run), run)


def up(run: EngineRun, *, previewed: bool = False) -> EngineResult:
    """Create or update the stack.

    A preview always comes first, because policies about the whole stack (budgets) are asked at the end of a run, and
    at the end of an update it is too late. ``previewed`` says that the caller has just done that.

    Raises:
        UserFault, EnvironmentFault: as for ``preview``; also for each object that was refused or did not become ready.
    """
    started = time.monotonic()
    _refuse_foreign_namespace(run)
    stack = _open(run)
    if not previewed:
        _preview(stack, run)
    log = EventLog(progress=run.progress)
    done = _guarded(
        lambda: stack.up(
            on_event=log.feed, policy_packs=[str(run.policy_pack)], policy_pack_configs=[str(run.policy_config)],
            color="never", show_secrets=False, suppress_outputs=True, suppress_progress=True,
        ),
        stack=stack, log=log, run=run, doing="up",
    )  # fmt: skip
    return EngineResult(
        actions=log.actions(),
        outputs={name: "[secret]" if output.secret else output.value for name, output in done.outputs.items()},
        duration_seconds=time.monotonic() - started,
    )


def destroy(run: EngineRun) -> EngineResult:
    """Delete every object of the stack, and the state when it lives in the user's cache.

    With a backend of the user's own the stack and its history stay; `pulumi stack rm` removes them.

    Raises:
        EnvironmentFault: an object could not be deleted; the state keeps it, so that `destroy` can be run again.
    """
    started = time.monotonic()
    workspace = pulumi_workspace.prepare(run)
    stack = _open(run, workspace=workspace)
    log = EventLog(progress=run.progress)
    _guarded(
        lambda: stack.destroy(on_event=log.feed, color="never", show_secrets=False, suppress_progress=True),
        stack=stack, log=log, run=run, doing="destroy",
    )  # fmt: skip
    if not workspace.backend:
        pulumi_workspace.forget(run)
    return EngineResult(actions=log.actions(), outputs={}, duration_seconds=time.monotonic() - started)


def refresh(run: EngineRun) -> EngineResult:
    """Bring the state up to what the cluster has, and drop creations that a killed run left pending."""
    started = time.monotonic()
    stack = _open(run)
    log = EventLog(progress=run.progress)
    _guarded(
        lambda: stack.refresh(
            on_event=log.feed, clear_pending_creates=True, color="never", show_secrets=False, suppress_progress=True
        ),
        stack=stack, log=log, run=run, doing="refresh",
    )  # fmt: skip
    return EngineResult(actions=log.actions(), outputs=outputs(run), duration_seconds=time.monotonic() - started)


def outputs(run: EngineRun) -> Mapping[str, object]:
    """The exports of the last `up`, secrets masked; empty when there was none."""
    return _outputs(_open(run))


def status(run: EngineRun) -> PulumiStatus:
    """What the state knows of the stack; asks neither the cluster nor the program."""
    workspace = pulumi_workspace.prepare(run)
    stack = _open(run, workspace=workspace)
    last = stack.info(show_secrets=False)
    finished = last.end_time.isoformat(timespec="seconds") if last and last.end_time else ""
    return PulumiStatus(
        backend=workspace.backend,
        last=last.kind if last else "",
        result=last.result if last else "",
        finished=finished,
        outputs=_outputs(stack),
    )


def _outputs(stack: Stack) -> Mapping[str, object]:
    return {name: "[secret]" if output.secret else output.value for name, output in stack.outputs().items()}


def _preview(stack: Stack, run: EngineRun) -> tuple[EngineAction, ...]:
    log = EventLog(progress=run.progress)
    _guarded(
        lambda: stack.preview(
            on_event=log.feed, policy_packs=[str(run.policy_pack)], policy_pack_configs=[str(run.policy_config)],
            color="never", suppress_outputs=True, suppress_progress=True,
        ),
        stack=stack, log=log, run=run, doing="preview",
    )  # fmt: skip
    broken = violations(log.violations)
    if broken:
        raise UserFault(broken)
    return log.actions()


def _open(run: EngineRun, *, workspace: PulumiWorkspace | None = None) -> Stack:
    """Select the stack, created when it is not there yet."""
    from pulumi.automation import CommandError, LocalWorkspace, Stack

    workspace = workspace or pulumi_workspace.prepare(run)
    command = pulumi_cli.require()
    local = LocalWorkspace(work_dir=str(workspace.folder), env_vars=workspace.env, pulumi_command=command)
    try:
        return Stack.create_or_select(run.stack, local)
    except CommandError as error:
        raise explain(error, EventLog(progress=run.progress), run=run, doing="opening") from error


def _guarded(work: Callable[[], _T], *, stack: Stack, log: EventLog, run: EngineRun, doing: str) -> _T:
    """Run the CLI; break the lock of a run on this machine that no longer lives, and turn failures into faults."""
    from pulumi.automation import CommandError, ConcurrentUpdateError

    try:
        try:
            return work()
        except ConcurrentUpdateError as error:
            _break_stale_lock(error, stack=stack, run=run)
            return work()
    except CommandError as error:
        raise explain(error, log, run=run, doing=doing) from error


def _break_stale_lock(error: CommandError, *, stack: Stack, run: EngineRun) -> None:
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
        fix="only when it is certainly dead: "
        f"`pulumi cancel --yes --cwd {stack.workspace.work_dir} {run.stack}`, then `refresh`, then `up`",
    )
    raise EnvironmentFault(fault) from error


def _refuse_foreign_namespace(run: EngineRun) -> None:
    """Two engines on one namespace would prune each other's objects. No kubectl, no answer: the provider then asks."""
    command: list[str] = [str(run.kubectl or "kubectl"), "get", "namespace", run.namespace, "--output=json"]
    command += [f"--kubeconfig={run.kubeconfig}"] if run.kubeconfig else []
    command += [f"--context={run.context}"] if run.context else []
    try:
        done = run_program([*command, "--ignore-not-found", "--request-timeout=10s"], check=False)
    except EnvironmentFault:
        return
    if done.returncode != 0 or not done.stdout.strip():
        return
    owner = json.loads(done.stdout)["metadata"].get("labels", {}).get(ENGINE_LABEL, "")
    if owner not in ("", "pulumi"):
        fault = Fault(
            what=f"the namespace belongs to the {owner} engine",
            where=f"namespace {run.namespace}",
            fix=f"go on with `--engine {owner}`, or `llmos destroy --engine {owner}` first",
        )
        raise UserFault(fault)
