"""Looking at a stack of the pulumi engine without changing anything: what drifted, what never ended."""

from __future__ import annotations

from llmos.engines.base import EngineAction, EngineRun
from llmos.engines.pulumi_events import EventLog, object_name
from llmos.engines.pulumi_session import guarded, open_stack

__all__ = ["drift", "pending_operations"]


def drift(run: EngineRun) -> tuple[EngineAction, ...]:
    """What became of the objects since the last `up`, asked of the cluster and noted nowhere."""
    session = open_stack(run)
    log = EventLog(progress=lambda _: None)
    guarded(
        lambda: session.stack.preview_refresh(on_event=log.feed, color="never", suppress_progress=True),
        session=session, log=log, doing="preview of a refresh",
    )  # fmt: skip
    return log.actions()


def pending_operations(run: EngineRun) -> list[str]:
    """Operations that a run began and never ended, as the state has them, e.g. ``creating Deployment chat``."""
    session, log = open_stack(run), EventLog(progress=run.progress)
    exported = guarded(session.stack.export_stack, session=session, log=log, doing="export")
    found = (exported.deployment or {}).get("pending_operations") or []
    return [f"{each['type']} {object_name(each['resource']['urn'])}" for each in found]
