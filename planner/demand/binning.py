"""Turns samples at any times into rates in equal bins of UTC time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.demand.history import DAY_SECONDS, History, bin_size_at_least
from planner.faults import Fault, UserFault

__all__ = ["binned_rates", "binned_requests"]

Floats = NDArray[np.float64]

# A count covers the time to the next row, but a gap of more than three usual steps is a gap, not a long bin.
_STEPS_THAT_MAKE_A_GAP = 3.0
# A trace of single requests is cut into bins that expect this many requests: noise of 1/sqrt(100) = 10 %.
_REQUESTS_PER_BIN = 100
_FINEST_TRACE_BIN_SECONDS = 10
_COARSEST_TRACE_BIN_SECONDS = 600
# A slip in a single time must not ask for all memory: this many bins, or ten per row if that is more.
_MOST_BINS = 2_000_000
_MOST_BINS_PER_ROW = 10


def binned_rates(name: str, times: Floats, values: Floats, *, counted: bool, anchored: bool) -> History:
    """Rates (requests per second at that time) or counts (requests since that time) as a history.

    Args:
        name: the service, for messages.
        times: seconds, ascending, no two alike; regular or not.
        values: one per time, NaN where unknown.
        counted: whether values are counts.
        anchored: whether times are calendar times.

    Raises:
        UserFault: fewer than two rows, or steps longer than six hours.
    """
    if times.size < 2:
        raise _too_little(name, f"has {times.size} row(s); its bins have no length")
    steps = np.diff(times)
    usual = float(np.median(steps))
    if usual > DAY_SECONDS / 4:
        raise _too_little(name, f"has one row per {usual / 3600:.3g} hours; hours of the day cannot be told apart")
    covered = np.append(np.where(steps <= _STEPS_THAT_MAKE_A_GAP * usual, steps, usual), usual)
    rates = values / covered if counted else values
    size = bin_size_at_least(usual)
    start = np.floor(times[0] / size) * size
    index = ((times - start) // size).astype(int)
    count = _checked_count(name, int(index[-1]) + 1, times.size)
    known = ~np.isnan(rates)
    weight = np.bincount(index[known], weights=covered[known], minlength=count)
    total = np.bincount(index[known], weights=(rates * covered)[known], minlength=count)
    mean = np.divide(total, weight, out=np.full(count, np.nan), where=weight > 0)
    return History(name=name, start_seconds=float(start), bin_seconds=size, rates=mean, anchored=anchored)


def binned_requests(name: str, times: Floats, *, anchored: bool) -> History:
    """Single arrivals as a history; the partly covered first and last bins count for the time they cover."""
    if times.size < 2 or times[-1] <= times[0]:
        raise _too_little(name, f"has {times.size} request(s) at one time")
    span = float(times[-1] - times[0])
    wanted = np.clip(_REQUESTS_PER_BIN * span / times.size, _FINEST_TRACE_BIN_SECONDS, _COARSEST_TRACE_BIN_SECONDS)
    size = bin_size_at_least(float(wanted))
    start = np.floor(times[0] / size) * size
    index = ((times - start) // size).astype(int)
    count = _checked_count(name, int(index[-1]) + 1, times.size)
    edges = start + np.arange(count + 1) * size
    covered = np.minimum(edges[1:], times[-1]) - np.maximum(edges[:-1], times[0])
    requests = np.bincount(index, minlength=count)
    # A sliver of a bin says next to nothing and would be divided by next to nothing.
    rates = np.where(covered >= size / 2, requests / np.maximum(covered, size / 2), np.nan)
    return History(
        name=name,
        start_seconds=float(start),
        bin_seconds=size,
        rates=rates,
        anchored=anchored,
        zeros_are_measured=True,
    )


def _checked_count(name: str, count: int, rows: int) -> int:
    if count > max(_MOST_BINS, _MOST_BINS_PER_ROW * rows):
        raise _too_little(name, f"spans {count:,} bins, far more than it has rows: is one of its times wrong?")
    return count


def _too_little(name: str, what: str) -> UserFault:
    fix = "give one row per 10 minutes (or finer) over at least a few hours, at best two weeks"
    return UserFault(Fault(what=what, where=f"request history of {name}", fix=fix))
