"""The demand of the next day and week with quantiles, and how far the history says they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.demand.accuracy import Accuracy, accuracy_of
from planner.demand.backtest import Backtest
from planner.demand.blend import mixed
from planner.demand.history import DAY_SECONDS, HOUR_SECONDS, WEEK_SECONDS, History, bin_size_at_least
from planner.faults import Fault, UserFault

__all__ = ["DEFAULT_QUANTILES", "Forecast", "forecast", "prepared"]

Floats = NDArray[np.float64]

# 0.5 is the plan, 0.9 and 0.95 what capacity is usually sized for, 0.99 the worst hour of four days.
DEFAULT_QUANTILES = (0.1, 0.5, 0.8, 0.9, 0.95, 0.99)
# Minimum replicas change by the hour and a GPU node takes minutes to start: finer bins only add noise and time.
_BIN_SECONDS = 600
# A history shorter than a day is cut finer, into about this many bins, so that there is something to test on.
_BINS_OF_A_SHORT_HISTORY = 144
_FEWEST_BINS = 12
# What is older than eight weeks says little of next week and costs time linearly.
_LONGEST_HISTORY_SECONDS = 8 * WEEK_SECONDS
# Ratios of outcome to forecast explode where a burst followed silence: no quantile exceeds this multiple of the highest
# rate on record (or the forecast itself).
_MOST_OF_THE_RECORD = 1.5
# Beyond some hours these are odd multiples of half a day: at whole days the last value and the same time of an earlier
# day are one and the same, and what is learned there would not hold an hour sooner or later.
_BACKTESTED_HORIZONS_SECONDS = tuple(hours * HOUR_SECONDS for hours in (1 / 6, 1, 4, 12, 36, 84, 156))


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Demand of the bins after the end of a history.

    Attributes:
        name: the service.
        start_seconds: start of the first bin, the end of the history; calendar time when ``anchored``.
        bin_seconds: length of a bin.
        anchored: as in `History`.
        expected: requests per second per bin.
        levels: the quantiles' probabilities, ascending.
        quantiles: requests per second, one row per bin, one column per level; not decreasing along a row.
        accuracy: per backtested horizon, ascending; empty when the history is too short for any.
        warnings: what the reader must know before trusting it, in sentences.
    """

    name: str
    start_seconds: float
    bin_seconds: int
    anchored: bool
    expected: Floats
    levels: tuple[float, ...]
    quantiles: Floats
    accuracy: tuple[Accuracy, ...]
    warnings: tuple[str, ...]

    def quantile(self, level: float) -> Floats:
        """The demand that is not exceeded with probability ``level``, one of ``levels``, per bin."""
        if level not in self.levels:
            raise ValueError(f"quantile {level:g} was not forecast: one of {', '.join(f'{q:g}' for q in self.levels)}")
        return self.quantiles[:, self.levels.index(level)]

    def peak(self, level: float, *, within_seconds: int = WEEK_SECONDS) -> float:
        """The highest such demand in requests per second within a time from now, which capacity is sized for."""
        return float(self.quantile(level)[: max(1, within_seconds // self.bin_seconds)].max())


def forecast(
    history: History,
    *,
    ahead_seconds: int = WEEK_SECONDS,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
) -> Forecast:
    """Forecasts a history.

    Args:
        history: as read; zeros that are gaps in the recording are found and ignored (`History.with_outages_masked`).
        ahead_seconds: how far, a week by default, which is what a schedule by hour of the week needs.
        quantiles: probabilities within 0..1, exclusive.

    Raises:
        UserFault: there is too little history to say anything, or no request in it.
    """
    levels = tuple(sorted(set(quantiles)))
    if not levels or levels[0] <= 0 or levels[-1] >= 1:
        raise ValueError(f"quantiles must lie between 0 and 1, got {quantiles}")
    known = prepared(history)
    bins = known.rates.size
    ladder = _backtestable_horizons(known)
    test = Backtest(known, ladder)
    ahead = np.arange(1, max(1, -(-ahead_seconds // known.bin_seconds)) + 1)
    last = np.array([bins - 1])
    per_rung = mixed(test.weights[:, -1:, :], test.expert_forecasts_ahead(ahead))
    factors = test.quantile_factors(np.asarray(levels), last)[:, 0, :]
    lower, share = _rungs(ladder, ahead)
    upper = np.minimum(lower + 1, ladder.size - 1)
    columns = np.arange(ahead.size)
    expected = (1 - share) * per_rung[lower, columns] + share * per_rung[upper, columns]
    most = np.maximum(_MOST_OF_THE_RECORD * np.nanmax(known.rates), expected)
    spread = (1 - share)[:, None] * factors[lower] + share[:, None] * factors[upper]
    return Forecast(
        name=known.name,
        start_seconds=known.end_seconds,
        bin_seconds=known.bin_seconds,
        anchored=known.anchored,
        expected=expected,
        levels=levels,
        quantiles=np.minimum(expected[:, None] * spread, most[:, None]),
        accuracy=accuracy_of(test),
        warnings=_warnings(known, int(ladder[-1]) * known.bin_seconds, ahead_seconds),
    )


def prepared(history: History) -> History:
    """The history as the forecast uses it: gaps masked, 10-minute bins (finer below a day), the last eight weeks.

    Raises:
        UserFault: as `forecast`.
    """
    target = _BIN_SECONDS
    if history.span_seconds < DAY_SECONDS:
        target = min(target, bin_size_at_least(history.span_seconds / _BINS_OF_A_SHORT_HISTORY))
    sizes = range(target, DAY_SECONDS + 1)
    size = next(size for size in sizes if DAY_SECONDS % size == 0 and size % history.bin_seconds == 0)
    usable = history.with_outages_masked().last(_LONGEST_HISTORY_SECONDS).rebinned(size)
    count = int(usable.known.sum())
    if count < _FEWEST_BINS:
        raise UserFault(
            Fault(
                what=f"has {count} usable bins of {size} s; a forecast needs at least {_FEWEST_BINS}",
                where=f"request history of {history.name}",
                nearest="state the demand instead: traffic.requests_per_second",
                fix=f"record at least {_FEWEST_BINS * size / 60:g} minutes, or state traffic.requests_per_second",
            )
        )
    if not np.nansum(usable.rates):
        raise UserFault(
            Fault(
                what="has no request: every known rate is zero",
                where=f"request history of {history.name}",
                fix="record a time with traffic, or state traffic.requests_per_second",
            )
        )
    return usable


def _backtestable_horizons(history: History) -> NDArray[np.int_]:
    """Horizons in bins, at most a quarter of the history: what is learned on too few outcomes is worse than nothing."""
    longest = max(1, history.rates.size // 4)
    wanted = {max(1, round(seconds / history.bin_seconds)) for seconds in _BACKTESTED_HORIZONS_SECONDS}
    return np.array(sorted({1} | {horizon for horizon in wanted if horizon <= longest}))


def _rungs(ladder: NDArray[np.int_], ahead: NDArray[np.int_]) -> tuple[NDArray[np.int_], Floats]:
    """Per bin ahead: the backtested horizon below it and the share of the next one, linear in the logarithm."""
    place = np.interp(np.log(ahead), np.log(ladder), np.arange(ladder.size))
    lower = np.minimum(place.astype(int), ladder.size - 1)
    return lower, place - lower


def _warnings(history: History, tested_seconds: int, ahead_seconds: int) -> tuple[str, ...]:
    days = history.span_seconds / DAY_SECONDS
    length = f"{days:.3g} days" if days >= 2 else f"{history.span_seconds / HOUR_SECONDS:.3g} h"
    found = []
    if ahead_seconds > tested_seconds:
        found.append(
            f"the history of {length} tests forecasts up to {tested_seconds / HOUR_SECONDS:.3g} h ahead; "
            "later ones use the spread of that horizon and may be too sure"
        )
    if days < 1:
        found.append("less than a day of history: no daily pattern is known")
    elif days < 14:
        found.append("less than two weeks of history: no weekly pattern could be tested")
    elif days < 21:
        found.append(
            "less than three weeks of history: forecasts were tested before a weekly pattern could be known, so "
            "quantiles of later days are wide"
        )
    missing = 1 - history.known.mean()
    if missing > 0.05:
        found.append(f"{missing:.0%} of the bins are unknown (gaps, or zeros that a service this busy cannot have)")
    return tuple(found)
