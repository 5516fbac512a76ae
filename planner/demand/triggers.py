"""A schedule as data for the scalers that carry it out: KEDA cron triggers, or minimum changes of an HPA.

KEDA's cron trigger is active when its next end comes before its next start (kedacore/keda, pkg/scalers/cron_scaler.go),
and a scaler takes the highest of its triggers; outside them its own minimum holds.
"""

from __future__ import annotations

from typing import TypedDict

from planner.demand.schedule import HOURS_PER_WEEK, Schedule
from planner.demand.windows import Window

__all__ = ["CronTrigger", "MinimumChange", "hpa_minimum_changes", "keda_cron_triggers"]

_HOUR_MINUTES = 60
_DAY_MINUTES = 1440
_WEEK_MINUTES = 10_080


class CronTrigger(TypedDict):
    """One entry of a ScaledObject's ``spec.triggers``."""

    type: str
    name: str
    metadata: dict[str, str]


class MinimumChange(TypedDict):
    """At ``schedule`` (cron, UTC) the HPA's ``minReplicas`` becomes ``min_replicas``."""

    schedule: str
    min_replicas: int


def keda_cron_triggers(schedule: Schedule, *, lead_minutes: int = 10) -> list[CronTrigger]:
    """Triggers to put beside the reactive ones; `Schedule.base` goes into ``minReplicaCount``.

    Args:
        schedule: in UTC.
        lead_minutes: 0..60, how much earlier a window starts, so that its replicas are ready when it does. 10 by
            default: a GPU node takes some 3 minutes to join and a model of tens of GB some minutes to load.
    """
    if not 0 <= lead_minutes <= _HOUR_MINUTES:
        raise ValueError(f"lead_minutes must be within 0..{_HOUR_MINUTES}, got {lead_minutes}")
    triggers: list[CronTrigger] = []
    for number, window in enumerate(schedule.windows, start=1):
        start, end = _crons(window, lead_minutes)
        metadata = {"timezone": "UTC", "start": start, "end": end, "desiredReplicas": str(window.replicas)}
        triggers.append({"type": "cron", "name": f"schedule-{number}", "metadata": metadata})
    return triggers


def hpa_minimum_changes(schedule: Schedule) -> list[MinimumChange]:
    """The changes of an HPA's ``minReplicas`` through the week, for a job that patches it; one change at least."""
    hours = schedule.replicas
    changes: list[MinimumChange] = [
        {"schedule": f"0 {hour % 24} * * {_cron_day(hour // 24)}", "min_replicas": hours[hour]}
        for hour in range(HOURS_PER_WEEK)
        if hours[hour] != hours[hour - 1]
    ]
    return changes or [{"schedule": "0 0 * * 1", "min_replicas": schedule.base}]


def _crons(window: Window, lead_minutes: int) -> tuple[str, str]:
    """Start and end; a window of whole days is one stretch from its first day to its last."""
    days = window.last_day - window.first_day + 1
    begin = window.first_day * _DAY_MINUTES + window.start_hour * _HOUR_MINUTES - lead_minutes
    if window.end_hour - window.start_hour == 24:
        return _cron(begin, 1), _cron(begin + lead_minutes + days * _DAY_MINUTES, 1)
    end = window.first_day * _DAY_MINUTES + window.end_hour * _HOUR_MINUTES
    return _cron(begin, days), _cron(end, days)


def _cron(minute_of_week: int, days: int) -> str:
    """A weekly cron at a minute of the week (which may be before Monday or after Sunday) on consecutive days."""
    minute = minute_of_week % _WEEK_MINUTES
    first = minute // _DAY_MINUTES
    if days == 7:
        weekdays = "*"
    else:
        numbers = sorted(_cron_day(day % 7) for day in range(first, first + days))
        consecutive = days > 1 and numbers[-1] - numbers[0] == days - 1
        weekdays = f"{numbers[0]}-{numbers[-1]}" if consecutive else ",".join(map(str, numbers))
    return f"{minute % _HOUR_MINUTES} {minute // _HOUR_MINUTES % 24} * * {weekdays}"


def _cron_day(day: int) -> int:
    """Cron counts from Sunday = 0; ours from Monday = 0."""
    return (day + 1) % 7
