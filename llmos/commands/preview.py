"""``preview``: what ``up`` would do, decided without building or starting anything."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

from llmos.builds import synth_preview
from llmos.canary.programs import asked
from llmos.commands._aws import actions_of
from llmos.console import note
from llmos.engines.base import EngineAction
from llmos.engines.gates import gate_findings
from llmos.judging import judge
from llmos.kube import identity
from llmos.objects import kubernetes_objects, type_of
from llmos.packs import Finding
from llmos.session import Session, add_permission_arguments, add_stack_arguments, open_session, with_image_env
from llmos.synth import Program
from planner.faults import Fault, UserFault
from planner.plan import ApplicationPlan, Plan

__all__ = ["add_arguments", "run"]

_FINDING_FIELDS = ("rule", "level", "object", "path", "message", "fix")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stack_arguments(parser)
    add_permission_arguments(parser)
    parser.set_defaults(stack=None)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--offline", action="store_true", help="ask no cluster and no registry; needs no credentials")
    parser.add_argument(
        "--against", default="", metavar="REF",
        help="compare all stacks (or the one of --stack) with a commit, offline: objects, cost, hardware, policies; "
        "Markdown for a pull request, or --json",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="with --against: also write the Markdown to a file"
    )


def run(args: argparse.Namespace) -> int:
    if args.against:
        return _against(args)
    args.stack = args.stack or "dev"
    session = open_session(args, start=False, offline=args.offline)
    program, not_built = synth_preview(session.stack, offline=args.offline)
    findings = judge(program, environment=session.run.environment, preview=True)
    actions = _actions(session, program)
    findings += gate_findings(actions, session.run)
    if args.json:
        print(json.dumps(_document(session, actions, findings), indent=2))
    else:
        _print(session, actions, findings, not_built)
    return 1 if any(finding.level == "mandatory" for finding in findings) else 0


def _against(args: argparse.Namespace) -> int:
    from llmos.against.comment import comment
    from llmos.against.compare import document
    from llmos.against.revisions import compare_with

    if args.file:
        what = "a stack file elsewhere has no earlier revision here"
        raise UserFault(Fault(what=what, where="preview --against", fix="name a stack of the project by --stack"))
    found = compare_with(args.against, [args.stack] if args.stack else [])
    if args.markdown:
        args.markdown.parent.mkdir(parents=True, exist_ok=True)
        args.markdown.write_text(comment(found), encoding="utf-8", newline="\n")
    print(json.dumps(document(found), indent=2) if args.json else comment(found), end="\n" if args.json else "")
    return int(found.refused)


def _actions(session: Session, program: Program) -> Sequence[EngineAction]:
    """Asked of the engine where a cluster answers; else everything is new (embedded cluster) or unknown (others)."""
    if session.stack.plan.aws:
        if session.engine.name == "pulumi" and not session.run.offline:
            from llmos.engines import pulumi

            return pulumi.preview(with_image_env(session, make=False), refuse=False)
        note("target aws: without the pulumi engine nobody is asked what exists, so every action is unknown")
        return actions_of(program)
    if session.kube is None:
        action = "unknown" if session.run.offline or session.stack.plan.target != "local" else "create"
        types = type_of(program)
        return [
            EngineAction(type=types[key], kind=key[0], namespace=key[1], name=key[2], action=action)
            for key in map(identity, kubernetes_objects(program))
        ]
    if session.engine.name == "pulumi":
        from llmos.engines import pulumi

        return pulumi.preview(with_image_env(session, make=False), program=program, refuse=False)
    from llmos.engines import kubectl

    return kubectl.preview(session.run, program)


def _document(session: Session, actions: Sequence[EngineAction], findings: Sequence[Finding]) -> dict[str, object]:
    plan = session.stack.plan
    return {
        "schema": 1,
        "stack": session.stack.name,
        "engine": session.engine.name,
        "cluster": session.cluster,
        "objects": [dataclasses.asdict(action) for action in actions],
        "policy": [{field: getattr(finding, field) for field in _FINDING_FIELDS} for finding in findings],
        "usd_per_month": plan.usd_per_month,
        "usd_per_month_min": plan.usd_per_month_min,
        "canaries": [
            {"application": one.name, "pods": one.canary.replicas, "watch_seconds": one.canary.watch_seconds}
            for one in _tried(session, actions) if one.canary
        ],
    }  # fmt: skip


def _tried(session: Session, actions: Sequence[EngineAction]) -> list[ApplicationPlan]:
    """Applications with a change that `up` would try first, if it is one of the pods: only an `up` that has built its
    images knows. Pods that are simulated, or not reached by kubectl, cannot be watched."""
    changed = {action.name for action in actions if (action.kind, action.action) == ("Deployment", "update")}
    watchable = session.kube is not None and not session.simulated
    return [one for one in asked(session.stack.plan) if watchable and one.name in changed]


def _print(
    session: Session, actions: Sequence[EngineAction], findings: Sequence[Finding], not_built: Sequence[str]
) -> None:
    from llmos import report

    console, plan = report.console(), session.stack.plan
    if plan.decisions:
        console.print(report.decisions_table(plan))
    if plan.costs:
        console.print(report.cost_table(plan, today=dt.date.today()))
    console.print(report.actions_table(actions))
    if findings:
        console.print(report.findings_table(findings))
    mandatory = sum(finding.level == "mandatory" for finding in findings)
    advisory = len(findings) - mandatory
    console.print(f"Policies of {plan.environment}: {mandatory} mandatory, {advisory} advisory findings")
    if session.kube:
        console.print(f"Network policies: {session.network_policies}")
    for one in _tried(session, actions):
        assert one.canary
        console.print(
            f"Canary of {one.name}, where its pods change: {one.canary.replicas} of the new version beside the others, "
            f"watched for {one.canary.watch_seconds} s before the rollout"
        )
    if not_built:
        console.print(_stand_in_note(not_built, session))
    console.print(f"Cost at most {report.money(plan.usd_per_month)} per month{_simulated_note(plan)}")


def _stand_in_note(not_built: Sequence[str], session: Session) -> str:
    names = ", ".join(not_built)
    checked = "" if session.kube else "; no cluster was asked about them"
    return f"Image {names}: digest known at `up`; objects that use it are shown as changed{checked}"


def _simulated_note(plan: Plan) -> str:
    if plan.target == "local":
        return " on real nodes; the embedded cluster simulates them and costs nothing"
    return " beside the nodes that you have" if plan.gpu_pool and plan.gpu_pool.kind == "existing" else ""
