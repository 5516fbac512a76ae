"""Minimum replicas by hour of the week, from the lock's windows to the triggers that keep them."""

from __future__ import annotations

import math

from planner.faults import Fault, UserFault
from planner.plan.types import ScheduledMinimum
from planner.sizing import SizedSchedule, Sizing
from planner.week import Window, cron_span, read_window

__all__ = ["lead_minutes", "plan_schedule"]

# A GPU node takes some three minutes to join, and the server some two to start, beside loading the weights at 1 Gbit/s.
_START_MINUTES, _MINUTES_PER_GIB = 5, 8 / 60
_MOST_MINUTES = 60
_APPLICATION_MINUTES = 2
"""A container on a node that exists; one more for pulling its image."""


def lead_minutes(weights_gib: float, *, on_gpu: bool) -> int:
    """How much earlier than its window a replica is asked for, so that it serves when the window begins."""
    if not on_gpu:
        return _APPLICATION_MINUTES
    return min(_MOST_MINUTES, _START_MINUTES + math.ceil(_MINUTES_PER_GIB * weights_gib))


def plan_schedule(
    path: str, sizing: Sizing | None, *, lead: int, where: str
) -> tuple[ScheduledMinimum, ...]:
    """The triggers of the model or application at that YAML path; raises UserFault for a lock that was edited."""
    schedule = sizing.schedules.get(path) if sizing else None
    return () if schedule is None else _triggers(schedule, path, lead, where)


def _triggers(schedule: SizedSchedule, path: str, lead: int, where: str) -> tuple[ScheduledMinimum, ...]:
    made = []
    for item in schedule.windows:
        try:
            window: Window = read_window(item.days, item.hours, item.replicas)
        except ValueError:
            raise UserFault(
                Fault(
                    what=f"`{item.days} {item.hours}` is no window of a week as the program writes it",
                    where=f"{where}: sizing.schedules.{path}",
                    fix="restore the file from version control, or write it anew with `python3 -m llmos size`",
                )
            ) from None
        start, end = cron_span(window, lead_minutes=lead)
        made.append(ScheduledMinimum(start=start, end=end, replicas=item.replicas))
    return tuple(made)
