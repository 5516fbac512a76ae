"""Minimum replicas by hour of the week, from the forecast of a history, as the lock keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from planner.demand import Accuracy, Forecast, minimum_replicas
from planner.settings import ApplicationReplicas, Model, ModelReplicas, RequestHistory, StackSettings
from planner.sizing.expected import forecast_of
from planner.sizing.types import SizedModel, SizedSchedule, SizedWindow
from planner.week import day_span, hour_span, read_window

__all__ = ["hourly", "schedules_of"]

_HOURS_PER_WEEK = 168
_ROUNDING = 1e-6
_BY_KEDA = "KEDA cron triggers"
_NOT_KEPT = "nothing: autoscaling is fixed, so all replicas run all the time; autoscaling: keda would follow this"
_NO_HOURS = (
    "times are seconds since an unknown start, so there are no hours of the week to schedule; state `start` of the "
    "history"
)


def schedules_of(
    settings: StackSettings, models: Mapping[str, SizedModel], *, folder: Path
) -> dict[str, SizedSchedule]:
    """By YAML path of every model and application that has a history; raises UserFault for one that says too little."""
    made = {}
    for name, model in sorted(settings.models.items()):
        history = model.traffic.history if model.traffic else None
        if history is not None:
            made[f"models.{name}"] = _of_model(model, history, forecast_of(history, folder=folder), models.get(name))
    for name, application in sorted(settings.applications.items()):
        replicas = application.replicas
        if isinstance(replicas, ApplicationReplicas) and replicas.history is not None:
            each = replicas.history.requests_per_second_per_replica
            assert each is not None, "settings demand it"
            forecast = forecast_of(replicas.history, folder=folder)
            made[f"applications.{name}"] = _schedule(
                replicas.history, forecast, each, floor=replicas.min, ceiling=replicas.max, kept_by=_BY_KEDA
            )
    return made


def hourly(schedule: SizedSchedule) -> list[int]:
    """The minimum in each hour of the week, Monday 00:00 UTC first."""
    hours = [schedule.otherwise] * _HOURS_PER_WEEK
    for item in schedule.windows:
        window = read_window(item.days, item.hours, item.replicas)
        for day in range(window.first_day, window.last_day + 1):
            for hour in range(window.start_hour, window.end_hour):
                hours[day * 24 + hour] = window.replicas
    return hours


def _of_model(
    model: Model, history: RequestHistory, forecast: Forecast, sized: SizedModel | None
) -> SizedSchedule:
    each = history.requests_per_second_per_replica or (sized.requests_per_second if sized else None)
    assert each is not None, "settings demand it with stated hardware"
    ranged = isinstance(model.replicas, ModelReplicas)
    most = model.maximum_replicas if ranged or sized is None else sized.replicas
    return _schedule(
        history, forecast, each, floor=min(model.minimum_replicas, most), ceiling=most,
        kept_by=_BY_KEDA if model.autoscaling == "keda" else _NOT_KEPT,
    )


def _schedule(
    history: RequestHistory, forecast: Forecast, each: float, *, floor: int, ceiling: int, kept_by: str
) -> SizedSchedule:
    source = f"{history.file}, {history.service}" if history.service else history.file
    windows: tuple[SizedWindow, ...] = ()
    otherwise, hours, warnings = floor, floor * _HOURS_PER_WEEK, forecast.warnings
    if forecast.anchored:
        found = minimum_replicas(forecast, each, history.quantile, floor=max(1, floor), ceiling=max(1, ceiling))
        # Where zero is allowed, the hours that need no more than one replica may have none.
        otherwise = floor if found.base == 1 else found.base
        hours = found.replica_hours_per_week
        windows = tuple(
            SizedWindow(days=day_span(window), hours=hour_span(window), replicas=window.replicas)
            for window in found.windows
        )
        most = max(found.replicas)
        if most * each < forecast.peak(history.quantile) * (1 - _ROUNDING):
            warnings = (
                *warnings,
                f"{most} replicas carry {most * each:.4g} requests/s, and {forecast.peak(history.quantile):.4g} are "
                "forecast at the highest: replicas.max is too low for it",
            )
    else:
        kept_by = f"nothing: {_NO_HOURS}"
    return SizedSchedule(
        history=source,
        quantile=history.quantile,
        requests_per_second=round(forecast.peak(history.quantile), 4),
        requests_per_second_per_replica=round(each, 4),
        windows=windows,
        otherwise=otherwise,
        replica_hours_per_week=hours,
        kept_by=kept_by,
        accuracy=tuple(_in_words(accuracy) for accuracy in forecast.accuracy),
        warnings=warnings,
    )


def _in_words(accuracy: Accuracy) -> str:
    """One line per horizon."""
    best, name = min((error, name) for name, error in accuracy.baseline_wape.items())
    seconds = accuracy.horizon_seconds
    ahead = f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds / 60:.3g} min"
    return (
        f"{ahead} ahead: error {accuracy.wape:.1%}, best simple forecast ({name.replace('_', ' ')}) {best:.1%}; "
        f"{accuracy.coverage_90:.0%} of the outcomes at or below the 90 % quantile"
    )
