"""How two sizings differ, in the terms in which people decide: hardware, replicas, money."""

from __future__ import annotations

from dataclasses import dataclass

from planner.sizing.types import SizedModel, SizedSchedule, Sizing

__all__ = ["SizingChange", "compare"]

_COMPARED = (
    "instance_type", "fallbacks", "gpus", "pipeline_parallel", "precision", "replicas", "spot_replicas", "nodes",
    "owned_nodes", "max_sequences", "usd_per_month",
)  # fmt: skip
_SHARED = ("chosen", "usd_per_month")
_SCHEDULED = ("minimum_replicas", "requests_per_second")


@dataclass(frozen=True, kw_only=True)
class SizingChange:
    """One figure that differs; ``subject`` is a YAML path, or ``total``. ``None``: not there, or not known."""

    subject: str
    what: str
    before: str | float | None
    after: str | float | None


def compare(before: Sizing, after: Sizing) -> tuple[SizingChange, ...]:
    """Every difference, by model and then the total."""
    changes: list[SizingChange] = []
    for name in sorted({*before.models, *after.models}):
        old, new = before.models.get(name), after.models.get(name)
        for field in _COMPARED:
            was, becomes = _value(old, field), _value(new, field)
            if was != becomes:
                changes.append(SizingChange(subject=f"models.{name}", what=field, before=was, after=becomes))
    old_side, new_side = before.applications, after.applications
    for field in _SHARED:
        was = getattr(old_side, field) if old_side else None
        becomes = getattr(new_side, field) if new_side else None
        if was != becomes:
            changes.append(SizingChange(subject="applications", what=field, before=was, after=becomes))
    for name in sorted({*before.schedules, *after.schedules}):
        old_schedule, new_schedule = before.schedules.get(name), after.schedules.get(name)
        for field in _SCHEDULED:
            was, becomes = _scheduled(old_schedule, field), _scheduled(new_schedule, field)
            if was != becomes:
                changes.append(SizingChange(subject=name, what=field, before=was, after=becomes))
    if before.usd_per_month != after.usd_per_month:
        changes.append(
            SizingChange(
                subject="total", what="usd_per_month", before=before.usd_per_month, after=after.usd_per_month
            )
        )
    return tuple(changes)


def _scheduled(schedule: SizedSchedule | None, field: str) -> str | float | None:
    if schedule is None:
        return None
    if field == "requests_per_second":
        return schedule.requests_per_second
    windows = [f"{window.days} {window.hours} {window.replicas}" for window in schedule.windows]
    return "; ".join([*windows, f"otherwise {schedule.otherwise}"])


def _value(model: SizedModel | None, field: str) -> str | float | None:
    value = getattr(model, field) if model else None
    return ", ".join(value) or "none" if isinstance(value, tuple) else value
