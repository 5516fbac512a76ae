"""``up``: build, deploy, wait until everything runs, and say how to reach it."""

from __future__ import annotations

import argparse
import dataclasses

from llmos import builds
from llmos.canary.programs import asked, with_canaries
from llmos.console import duration, note, step, warn
from llmos.engines.base import EngineResult
from llmos.engines.canary import Canaries
from llmos.git import deployed_commit
from llmos.images.signing import sign
from llmos.judging import judge, refuse_mandatory
from llmos.release.running import built_references, note_source
from llmos.session import (
    Session,
    add_permission_arguments,
    add_stack_arguments,
    cluster_name,
    confirm,
    open_session,
    require_pulumi,
    with_image_env,
)
from llmos.stacks import load_stack
from llmos.state import show_state
from llmos.synth import Program
from planner.plan import ApplicationPlan

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)
    add_permission_arguments(parser)
    parser.add_argument(
        "--force-conflicts", action="store_true",
        help="take over fields that others set in the cluster, instead of naming their owner and stopping",
    )
    parser.add_argument("--yes", action="store_true", help="change a cluster other than the embedded one unasked")
    parser.add_argument(
        "--no-canary", action="store_true",
        help="roll new versions out at once, also of applications that ask for a canary: to go back, say",
    )
    parser.add_argument(
        "--timeout-minutes", type=float, default=0, metavar="N",
        help="longest wait for the workloads on the kubectl engine; by default what the slowest model needs to load. "
        "The pulumi engine waits for each object as long as that one may take by the plan",
    )


def run(args: argparse.Namespace) -> int:
    stack = load_stack(args.stack, file=args.file)
    confirm(args, stack, question=f"Deploy stack {stack.name} to {cluster_name(stack)}?")
    with step(f"checking stack {stack.name} against the policies of {stack.plan.environment}"):
        # Before anything is started: a stack over its budget must cost nothing, not even a cluster.
        program, _ = builds.synth_preview(stack)
        refuse_mandatory(judge(program, environment=stack.plan.environment, preview=True))
        tried = () if args.no_canary else asked(stack.plan)
        if tried:
            with with_canaries(tried):
                beside, _ = builds.synth_preview(stack)
            refuse_mandatory(judge(beside, environment=stack.plan.environment, preview=True))
    builds.check_images(stack, program, install=not args.no_install)
    commit = deployed_commit(stack)
    session = open_session(args, start=True, stack=stack)
    require_pulumi(session, "up")
    if tried and session.simulated:
        note("no canary: pods that are simulated answer nothing that could be watched")
        tried = ()
    elif tried and session.kube is None:
        warn("no canary: the cluster is not reached by kubectl, so nothing can be asked how the new version does")
        tried = ()
    timeout = args.timeout_minutes * 60 or _timeout_seconds(session)
    if session.engine.name == "pulumi":
        if args.timeout_minutes:
            note("--timeout-minutes changes nothing on the pulumi engine, which waits as long as each object may take")
        canaries = Canaries(program=beside, applications=tried, stack_file=stack.file.name) if tried else None
        result = _pulumi(session, program, commit=commit, canaries=canaries)
    else:
        result = _kubectl(session, timeout_seconds=timeout, tried=tried)
        note_source(session, commit)
    if stack.settings.builds.signing_key:
        sign(built_references(stack, result.outputs), key=stack.settings.builds.signing_key)
    changed = [action for action in result.actions if action.action != "same"]
    if changed:
        note(f"{len(changed)} of {len(result.actions)} objects changed in {duration(result.duration_seconds)}")
    else:
        note(f"nothing changed: all {len(result.actions)} objects are as the stack file wants them")
    if session.kube:
        show_state(session)
    return 0


def _timeout_seconds(session: Session) -> float:
    """What the slowest workload may take to be exchanged, and at least twelve minutes: images may have to be pulled."""
    plan = session.stack.plan
    return max([720, *(workload.rollout_timeout_seconds for workload in (*plan.models, *plan.applications))])


def _kubectl(session: Session, *, timeout_seconds: float, tried: tuple[ApplicationPlan, ...]) -> EngineResult:
    from llmos.engines import apply, lock

    stack = session.stack
    if session.kube:
        # Refused here, before minutes of building; the lock itself is taken where the cluster is first written to.
        lock.refuse_if_held(session.kube, stack=stack.name, namespace=session.run.namespace)
    if builds.needs_registry(stack):
        builds.name_registry(install=session.install)
    preview, _ = builds.synth_preview(stack)
    images = builds.build_images(stack, preview, install=session.install)
    program = builds.synth_built(stack, images)
    refuse_mandatory(judge(program, environment=session.run.environment, preview=False))
    canaries = None
    if tried:
        with with_canaries(tried):
            beside = builds.synth_built(stack, images)
        refuse_mandatory(judge(beside, environment=session.run.environment, preview=False))
        canaries = Canaries(program=beside, applications=tried, stack_file=stack.file.name)
    with step("deploying"):
        return apply.up(session.run, program, timeout_seconds=timeout_seconds, canaries=canaries)


def _pulumi(session: Session, program: Program, *, commit: str, canaries: Canaries | None) -> EngineResult:
    from llmos.engines import pulumi

    if builds.needs_registry(session.stack):
        builds.name_registry(install=session.install)
    run = with_image_env(session, make=True)
    with step("deploying"):
        run = dataclasses.replace(run, env={**run.env, "LLMOS_SOURCE_COMMIT": commit})
        return pulumi.up(run, program=program, canaries=canaries)
