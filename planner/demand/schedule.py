"""Minimum replicas by hour of the week, from a forecast and what one replica serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.demand.forecast import Forecast
from planner.demand.history import HOUR_SECONDS
from planner.demand.windows import windows_of
from planner.faults import Fault, UserFault
from planner.week import Window, day_span, hour_span

__all__ = ["HOURS_PER_WEEK", "Schedule", "minimum_replicas"]

HOURS_PER_WEEK = 168
# 1970 began on a Thursday.
_HOURS_FROM_MONDAY_TO_1970 = 72
# A division that should be whole may come out a hair above: 3.0000000001 replicas are three.
_ROUNDING = 1e-9
# What people read in a review. Raising some hours merges windows; more windows follow the demand more closely.
_MOST_WINDOWS = 12


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Minimum replicas through the week, in UTC (no daylight saving: clocks that jump would move the demand's hours).

    Attributes:
        name: the service.
        needed: replicas that the quantile demand needs, per hour of the week, Monday 00:00 first (168 values).
        base: replicas outside all windows.
        windows: when there are more than ``base``; they do not overlap.
        quantile: the probability with which the demand is covered.
        requests_per_second_per_replica: what one replica was taken to serve.
    """

    name: str
    needed: tuple[int, ...]
    base: int
    windows: tuple[Window, ...]
    quantile: float
    requests_per_second_per_replica: float

    @property
    def replicas(self) -> tuple[int, ...]:
        """Scheduled minimum per hour of the week; at least ``needed`` in every hour."""
        hours = [self.base] * HOURS_PER_WEEK
        for window in self.windows:
            for day in range(window.first_day, window.last_day + 1):
                for hour in range(window.start_hour, window.end_hour):
                    hours[day * 24 + hour] = window.replicas
        return tuple(hours)

    @property
    def replica_hours_per_week(self) -> int:
        """What the schedule keeps running."""
        return sum(self.replicas)

    def at(self, seconds: NDArray[np.float64]) -> NDArray[np.int_]:
        """The minimum at times in seconds since 1970 UTC."""
        return np.array(self.replicas)[hours_of_week(np.asarray(seconds, dtype=float))]

    def describe(self) -> str:
        """One line per window, e.g. ``Mon-Fri 08:00-20:00  6``, and the rest."""
        lines = [
            f"{day_span(window):7}  {hour_span(window)}  {window.replicas}" for window in self.windows
        ]
        return "\n".join([*lines, f"otherwise             {self.base}"])


def minimum_replicas(
    forecast: Forecast,
    requests_per_second_per_replica: float,
    quantile: float = 0.9,
    *,
    floor: int = 1,
    ceiling: int | None = None,
    most_windows: int = _MOST_WINDOWS,
) -> Schedule:
    """The smallest readable schedule that covers a quantile of the forecast demand.

    Args:
        forecast: a week or more of calendar time (hours of the week that it does not reach get its highest need).
        requests_per_second_per_replica: at the service's latency objective, above zero.
        quantile: one of the forecast's levels; 0.9 by default: a reactive scaler stands behind the schedule.
        floor: least replicas at any time, at least 1 (scaling to zero is not a matter of a schedule).
        ceiling: most replicas at any time; none by default. Where it binds, the demand is not covered.
        most_windows: windows to read and review; fewer cover the same demand with more replica-hours.

    Raises:
        UserFault: the history's times are no calendar times.
    """
    if not requests_per_second_per_replica > 0:
        raise ValueError(f"requests_per_second_per_replica must be above 0, got {requests_per_second_per_replica}")
    if floor < 1 or (ceiling is not None and ceiling < floor):
        raise ValueError(f"floor must be at least 1 and at most the ceiling, got {floor} and {ceiling}")
    if not forecast.anchored:
        raise UserFault(
            Fault(
                what="has times since an unknown start, so its hours of the week are unknown",
                where=f"request history of {forecast.name}",
                fix="write calendar times (ISO 8601 in UTC, or seconds since 1970)",
            )
        )
    demand = forecast.quantile(quantile)
    replicas = np.ceil(demand / requests_per_second_per_replica - _ROUNDING).clip(floor, ceiling).astype(int)
    starts = forecast.start_seconds + np.arange(demand.size) * forecast.bin_seconds
    needed = np.zeros(HOURS_PER_WEEK, dtype=int)
    # A bin may reach over several hours of the week; its demand holds in each of them.
    for offset in range(0, forecast.bin_seconds, min(forecast.bin_seconds, HOUR_SECONDS)):
        np.maximum.at(needed, hours_of_week(starts + offset), replicas)
    complete = tuple(np.where(needed > 0, needed, needed.max()).tolist())
    base, windows = windows_of(complete, most_windows=most_windows)
    return Schedule(
        name=forecast.name,
        needed=complete,
        base=base,
        windows=windows,
        quantile=quantile,
        requests_per_second_per_replica=requests_per_second_per_replica,
    )


def hours_of_week(seconds: NDArray[np.float64]) -> NDArray[np.int_]:
    """Hours since Monday 00:00 UTC, 0..167, of times in seconds since 1970."""
    return ((seconds // HOUR_SECONDS).astype(int) + _HOURS_FROM_MONDAY_TO_1970) % HOURS_PER_WEEK
