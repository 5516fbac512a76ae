"""What the cluster tells about a stack of the kubectl engine: its lock, a run that broke off, objects that differ."""

from __future__ import annotations

from collections.abc import Iterator

from llmos.builds import synth_preview
from llmos.engines import kubectl
from llmos.engines.lock import holder_of
from llmos.health.finding import Finding, of_error
from llmos.release.running import read_running
from llmos.session import Session
from planner.faults import LlmosError, UserFault

__all__ = ["kubectl_findings"]


def kubectl_findings(session: Session, *, drift: bool) -> Iterator[Finding]:
    """Findings about a stack whose cluster answers; ``drift`` asks about every object."""
    name = session.stack.name
    again = f"python3 -m llmos doctor --stack {name}"
    yield _lock(session)
    try:
        read_running(session)
        yield Finding(check="workloads", state="ok", text="all run, as the last `up` left them")
    except UserFault as error:
        for fault in error.faults:
            yield Finding(check="workloads", state="wrong", text=fault.what, mend=(fault.fix,))
    except LlmosError as error:
        yield of_error("workloads", error, again=again)
    if drift:
        try:
            yield _drift(session)
        except LlmosError as error:
            yield of_error("drift", error, again=again)


def _lock(session: Session) -> Finding:
    assert session.kube is not None
    name, namespace = session.stack.name, session.stack.plan.namespace.name
    holder = holder_of(session.kube, stack=name, namespace=namespace)
    if holder is None:
        return Finding(check="lock", state="ok", text="nobody holds it")
    unlock = f"only when it is certainly dead: python3 -m llmos unlock --stack {name}"
    return Finding(check="lock", state="wrong", text=f"held by {holder}", mend=("wait for that run to end", unlock))


def _drift(session: Session) -> Finding:
    name = session.stack.name
    program, not_built = synth_preview(session.stack)
    changed = [action for action in kubectl.preview(session.run, program) if action.action != "same"]
    if not changed:
        return Finding(check="drift", state="ok", text="every object is as the stack file wants it")
    names = [f"{action.action} {action.kind} {action.name}" for action in changed]
    why = f" (image {', '.join(not_built)} has changed and is not built)" if not_built else ""
    return Finding(
        check="drift", state="wrong",
        text=f"{len(names)} objects differ from the stack file, because it changed or the cluster did{why}: "
        f"{', '.join(names[:8])}{' and others' if len(names) > 8 else ''}",
        mend=(f"look: python3 -m llmos diff --stack {name}", f"python3 -m llmos up --stack {name}"),
    )  # fmt: skip
