"""Schedules cover the demand they promise to cover, stay readable, and mean the same to KEDA."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.demand import Forecast, minimum_replicas
from planner.demand.schedule import HOURS_PER_WEEK, Schedule
from planner.demand.windows import windows_of
from planner.faults import UserFault
from planner.week import cron_span, day_span, hour_span, read_window

MONDAY = 1_772_409_600


def forecast_of(
    demand: np.ndarray, *, start: float = MONDAY, bin_seconds: int = 3600, anchored: bool = True
) -> Forecast:
    demand = np.asarray(demand, dtype=float)
    return Forecast(
        name="chat",
        start_seconds=start,
        bin_seconds=bin_seconds,
        anchored=anchored,
        expected=demand * 0.8,
        levels=(0.5, 0.9),
        quantiles=np.stack([demand * 0.8, demand], axis=1),
        accuracy=(),
        warnings=(),
    )


def cron_times(cron: str) -> set[int]:
    """Minutes of the week (Monday 00:00 is 0) at which a weekly cron fires."""
    minute, hour, _, _, weekdays = cron.split()
    days: set[int] = set()
    for part in ("0-6" if weekdays == "*" else weekdays).split(","):
        first, _, last = part.partition("-")
        days |= set(range(int(first), int(last or first) + 1))
    return {((day - 1) % 7) * 1440 + int(hour) * 60 + int(minute) for day in days}


def active(span: tuple[str, str], minute_of_week: int) -> bool:
    """KEDA's rule: active unless the next start comes before the next end (both strictly after now)."""

    def following(times: set[int]) -> int:
        return min((time - minute_of_week - 1) % 10_080 for time in times)

    start, end = map(cron_times, span)
    return not following(start) < following(end)


def scheduled_by_keda(schedule: Schedule, minute_of_week: int, lead_minutes: int) -> int:
    spans = {window: cron_span(window, lead_minutes=lead_minutes) for window in schedule.windows}
    wanted = [window.replicas for window, span in spans.items() if active(span, minute_of_week)]
    return max([schedule.base, *wanted])


weeks = st.lists(st.integers(1, 9), min_size=HOURS_PER_WEEK, max_size=HOURS_PER_WEEK) | st.builds(
    lambda day, weekend: [*day] * 5 + [*weekend] * 2,
    st.lists(st.integers(1, 30), min_size=24, max_size=24),
    st.lists(st.integers(1, 30), min_size=24, max_size=24),
)


@settings(max_examples=20, deadline=None)
@given(weeks, st.integers(1, 14))
def test_windows_cover_every_hour_and_are_as_few_as_asked(needed: list[int], most: int) -> None:
    schedule = minimum_replicas(forecast_of(np.array(needed)), 1.0, most_windows=most)
    assert schedule.needed == tuple(needed)
    assert all(scheduled >= need for scheduled, need in zip(schedule.replicas, needed, strict=True))
    assert len(schedule.windows) <= most
    assert max(schedule.replicas) == max(needed)
    assert all(window.replicas > schedule.base for window in schedule.windows)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(0, 1000), min_size=1008, max_size=1008),
    st.floats(0.5, 200),
    st.integers(0, 1007),
    st.sampled_from([0.5, 0.9]),
)
def test_the_schedule_covers_the_quantile_demand(demand: list[float], each: float, shift: int, level: float) -> None:
    forecast = forecast_of(np.array(demand), start=MONDAY + 600 * shift, bin_seconds=600)
    schedule = minimum_replicas(forecast, each, level)
    starts = forecast.start_seconds + 600 * np.arange(1008)
    assert np.all(schedule.at(starts) * each >= forecast.quantile(level) * (1 - 1e-6))
    assert min(schedule.replicas) >= 1


@settings(max_examples=12, deadline=None)
@given(weeks, st.sampled_from([0, 10, 60]))
def test_keda_runs_the_schedule_and_starts_early_by_the_lead(needed: list[int], lead: int) -> None:
    schedule = minimum_replicas(forecast_of(np.array(needed)), 1.0)
    for hour in range(HOURS_PER_WEEK):
        now = scheduled_by_keda(schedule, hour * 60 + 30, lead)
        assert now >= schedule.replicas[hour]
        if lead <= 10:
            assert now == schedule.replicas[hour]
        ahead = scheduled_by_keda(schedule, (hour * 60 - lead + 1) % 10_080, lead)
        assert ahead >= schedule.replicas[hour]


@settings(max_examples=12, deadline=None)
@given(weeks)
def test_windows_are_read_back_as_they_were_written(needed: list[int]) -> None:
    for window in minimum_replicas(forecast_of(np.array(needed)), 1.0).windows:
        assert read_window(day_span(window), hour_span(window), window.replicas) == window


@pytest.mark.parametrize("written", [("Fri-Mon", "08:00-20:00"), ("Mon", "20:00-08:00"), ("Someday", "08:00-20:00")])
def test_what_is_no_window_is_refused(written: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        read_window(*written, 1)


def test_office_hours_read_as_office_hours() -> None:
    day = [2] * 8 + [6] * 12 + [2] * 4
    schedule = minimum_replicas(forecast_of(np.array(day * 5 + [2] * 48) * 10.0), 10.0)
    assert schedule.describe() == "Mon-Fri  08:00-20:00  6\notherwise             2"
    assert schedule.replica_hours_per_week == sum(schedule.needed) == 60 * 6 + 108 * 2
    (window,) = schedule.windows
    assert cron_span(window, lead_minutes=5) == ("55 7 * * 1-5", "0 20 * * 1-5")
    with pytest.raises(ValueError, match=r"within 0\.\.60"):
        cron_span(window, lead_minutes=61)


def test_a_weekend_from_midnight_starts_on_friday_evening() -> None:
    schedule = minimum_replicas(forecast_of(np.array([1] * 120 + [4] * 48)), 1.0)
    (window,) = schedule.windows
    assert cron_span(window, lead_minutes=10) == ("50 23 * * 5", "0 0 * * 1")


def test_a_flat_week_needs_no_window() -> None:
    schedule = minimum_replicas(forecast_of(np.full(168, 25.0)), 10.0)
    assert (schedule.base, schedule.windows, schedule.describe()) == (3, (), "otherwise             3")


def test_floor_and_ceiling() -> None:
    demand = np.linspace(0, 100, 168)
    schedule = minimum_replicas(forecast_of(demand), 10.0, floor=2, ceiling=5)
    assert (min(schedule.needed), max(schedule.needed)) == (2, 5)
    with pytest.raises(ValueError, match="floor must be at least 1"):
        minimum_replicas(forecast_of(demand), 10.0, floor=4, ceiling=3)
    with pytest.raises(ValueError, match="must be above 0"):
        minimum_replicas(forecast_of(demand), 0.0)


def test_hours_that_the_forecast_does_not_reach_get_the_highest_need() -> None:
    schedule = minimum_replicas(forecast_of(np.array([1.0, 7.0] + [2.0] * 22)), 1.0)
    assert set(schedule.needed[24:]) == {7}


def test_bins_longer_than_an_hour_hold_in_each_of_their_hours() -> None:
    schedule = minimum_replicas(forecast_of(np.arange(1.0, 29.0), bin_seconds=6 * 3600), 1.0)
    assert schedule.needed[:13] == (1,) * 6 + (2,) * 6 + (3,)


def test_relative_times_have_no_hour_of_the_week() -> None:
    with pytest.raises(UserFault, match="hours of the week are unknown"):
        minimum_replicas(forecast_of(np.ones(168), start=0, anchored=False), 1.0)


def test_hours_follow_the_calendar() -> None:
    schedule = minimum_replicas(forecast_of(np.arange(1.0, 169.0)), 1.0, most_windows=168)
    for offset in (0, 5, 100, 167):
        moment = datetime.fromtimestamp(MONDAY, tz=UTC) + timedelta(hours=offset)
        assert schedule.needed[moment.weekday() * 24 + moment.hour] == offset + 1


def test_without_a_window_the_base_is_the_highest_need() -> None:
    assert windows_of([1, 2] * 84, most_windows=0) == (2, ())
