"""Everything that could stop a deployment of one stack, looked at without changing anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from llmos.health.finding import Finding, of_error
from llmos.images.reference import parse_reference
from llmos.images.remote import RemoteRegistry
from llmos.session import Session, open_session
from llmos.stacks import Stack, load_stack
from planner.faults import LlmosError
from planner.plan import awaited

__all__ = ["stack_findings"]


def stack_findings(args: argparse.Namespace, *, drift: bool) -> Iterator[Finding]:
    """Findings about the stack of ``args``: its files, registry, cluster, lock and state, in this order."""
    again = f"python3 -m llmos doctor --stack {args.stack}"
    try:
        stack = load_stack(args.stack, file=args.file)
    except LlmosError as error:
        for fault in error.faults:
            yield Finding(check="stack file", state="wrong", text=f"{fault.where}: {fault.what}", mend=(fault.fix,))
        return
    plan = stack.plan
    yield Finding(
        check="stack file", state="ok", text=f"{stack.file.name}: target {plan.target}, environment {plan.environment}"
    )
    missing = awaited(plan)
    for fault in missing:
        yield Finding(check="release", state="wrong", text=fault.what, mend=(fault.fix,))
    if not missing:
        yield from _registry(stack, again)
    try:
        session = open_session(args, start=False, stack=stack)
    except LlmosError as error:
        yield of_error("cluster", error, again=f"kubectl --context {plan.context} get namespace")
        return
    yield from _cluster(session, drift=drift)


def _registry(stack: Stack, again: str) -> Iterator[Finding]:
    """Whether what was promoted can still be pulled. Of images that the stack builds nothing is known before."""
    refs = sorted({image.ref for image in stack.plan.images if image.ref}) if stack.plan.released else []
    for ref in refs:
        image = parse_reference(ref)
        try:
            found = RemoteRegistry(host=image.host).manifest(image.repository, image.digest)
        except LlmosError as error:
            yield of_error("registry", error, again=again)
            continue
        name = f"{image.name}@{image.digest[:19]}"
        if found is None:
            mend = (f"push it again and promote: python3 -m llmos promote <from> {stack.name}",)
            yield Finding(check="registry", state="wrong", text=f"{name} is gone", mend=mend)
        else:
            yield Finding(check="registry", state="ok", text=f"{name} is there")


def _cluster(session: Session, *, drift: bool) -> Iterator[Finding]:
    if session.stack.plan.aws:
        yield Finding(check="cluster", state="unknown", text=f"{session.cluster} is reached by Pulumi, through AWS")
        if session.engine.name == "pulumi":
            yield from _pulumi(session, drift=drift)
        return
    if session.kube is None:
        yield Finding(check="cluster", state="unknown", text=f"{session.cluster} is not running; `up` starts it")
        return
    yield Finding(check="cluster", state="ok", text=f"{session.cluster}: {session.kube.version()}")
    if session.engine.name == "pulumi":
        yield from _pulumi(session, drift=drift)
    elif not session.kube.get("namespace", session.stack.plan.namespace.name):
        yield Finding(check="workloads", state="ok", text="nothing is deployed yet")
    else:
        from llmos.health.kubectl_state import kubectl_findings

        yield from kubectl_findings(session, drift=drift)


def _pulumi(session: Session, *, drift: bool) -> Iterator[Finding]:
    from llmos.health.pulumi_state import pulumi_findings

    yield from pulumi_findings(session.run, drift=drift)
