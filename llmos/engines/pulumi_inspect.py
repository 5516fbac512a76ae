"""Looking at a stack of the pulumi engine without changing anything: what drifted, what never ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmos.engines.base import EngineAction, EngineRun
from llmos.engines.pulumi_events import EventLog, object_name
from llmos.engines.pulumi_session import guarded, open_stack, read_state

if TYPE_CHECKING:
    from pulumi.automation import EngineEvent

__all__ = ["drift", "pending_operations"]


class _Outcomes(EventLog):
    """A refresh tells what became of an object only with its outputs, also when it is only previewed."""

    def feed(self, event: EngineEvent) -> None:
        if event.res_outputs_event:
            self._finish(event.res_outputs_event.metadata)
        else:
            super().feed(event)


def drift(run: EngineRun) -> tuple[EngineAction, ...]:
    """What became of the objects since the last `up`, asked of the cluster and noted nowhere."""
    session = open_stack(run)
    log = _Outcomes(progress=lambda _: None, announce=False)
    guarded(
        lambda: session.stack.preview_refresh(on_event=log.feed, color="never", suppress_progress=True),
        session=session, log=log, doing="preview of a refresh",
    )  # fmt: skip
    return log.actions()


def pending_operations(run: EngineRun) -> list[str]:
    """Operations that a run began and never ended, as the state has them, e.g. ``creating Deployment chat``."""
    found = read_state(open_stack(run))["deployment"].get("pending_operations") or []
    return [f"{each['type']} {object_name(each['resource']['urn'])}" for each in found]
