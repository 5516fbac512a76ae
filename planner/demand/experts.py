"""Simple forecasts of a request rate, each causal and each blind to the scale of the rates.

They come in two kinds. Levels (the last value, exponential smoothing, running medians) do not depend on the horizon.
Seasonal ones take the shape of earlier days or weeks, as it was or moved to the present level. None is good everywhere;
`planner.demand.blend` weighs them by what they would have earned on the history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from planner.demand.history import DAY_SECONDS, HOUR_SECONDS, WEEK_SECONDS, History

__all__ = ["BASELINES", "EXPERT_NAMES", "ExpertPanel", "discounted_sums"]

Floats = NDArray[np.float64]

BASELINES = ("naive", "seasonal_day", "seasonal_week")
_SMOOTHING_HOURS = (0.5, 1.0, 4.0, 24.0)
_MEDIAN_HOURS = (1.0, 3.0, 12.0, 72.0)
_LEVEL_NAMES = (
    "naive",
    *(f"smoothed_{hours:g}h" for hours in _SMOOTHING_HOURS),
    *(f"median_{hours:g}h" for hours in _MEDIAN_HOURS),
    "mean",
)
_SEASONAL_NAMES = (
    "seasonal_day",
    "seasonal_week",
    "daily_shape_on_3h_level",
    "daily_shape_on_day_level",
    "weekly_shape_on_3h_level",
    "weekly_shape_on_day_level",
)
EXPERT_NAMES = _LEVEL_NAMES + _SEASONAL_NAMES
# Rates below this part of the mean count as this part, so that ratios and logarithms exist for silent bins.
_FLOOR_OF_MEAN = 1e-3
# Older seasons than these add cost and little else: traffic drifts.
_DAYS_AVERAGED = 14
_WEEKS_AVERAGED = 4


@dataclass(frozen=True, kw_only=True)
class ExpertPanel:
    """All experts over one history.

    Attributes:
        rates: requests per second per bin, NaN where unknown.
        floor: the smallest rate that is told apart from zero.
        levels: one row per bin, one column per level expert: its forecast for every later bin.
        log_filled: logarithm of the rates, gaps filled with the last known value.
        log_levels: the smoothed logarithms that the seasonal shapes are relative to: (3 h half-life, 24 h half-life).
        day_bins: bins per day.
    """

    rates: Floats
    floor: float
    levels: Floats
    log_filled: Floats
    log_levels: tuple[Floats, Floats]
    day_bins: int

    @classmethod
    def of(cls, history: History) -> ExpertPanel:
        """The panel of a history with at least one request."""
        floor = _FLOOR_OF_MEAN * float(np.nanmean(history.rates))
        filled = np.maximum(_carried_forward(history.rates), floor)
        logs = np.log(filled)
        hour_bins = HOUR_SECONDS / history.bin_seconds
        smoothed = _smoothed(filled, [hours * hour_bins for hours in _SMOOTHING_HOURS])
        medians = [_running_median(filled, max(1, round(hours * hour_bins))) for hours in _MEDIAN_HOURS]
        quick, slow = _smoothed(logs, [3 * hour_bins, 24 * hour_bins]).T
        mean = np.exp(np.cumsum(logs) / np.arange(1, logs.size + 1))
        return cls(
            rates=history.rates,
            floor=floor,
            levels=np.column_stack([filled, smoothed, *medians, mean]),
            log_filled=logs,
            log_levels=(quick, slow),
            day_bins=history.day_bins,
        )

    def forecasts(self, origins: NDArray[np.int_], horizons: NDArray[np.int_]) -> Floats:
        """What each expert, knowing the bins up to an origin, says of the bin ``horizon`` bins after it.

        Args:
            origins: indices of bins, shape (o,).
            horizons: in bins, at least 1, shape (h,).

        Returns:
            Requests per second, shape (h, o, experts), columns as in `EXPERT_NAMES`. A seasonal expert without a season
            to look at yet says what the naive one says.
        """
        levels = np.broadcast_to(self.levels[origins], (horizons.size, origins.size, self.levels.shape[1]))
        naive = levels[:, :, 0]
        quick, slow = self.log_levels
        week_bins = self.day_bins * (WEEK_SECONDS // DAY_SECONDS)
        seasonal = [
            self._same_bin(origins, horizons, self.day_bins),
            self._same_bin(origins, horizons, week_bins),
            self._shape(origins, horizons, self.day_bins, _DAYS_AVERAGED, quick),
            self._shape(origins, horizons, self.day_bins, _DAYS_AVERAGED, slow),
            self._shape(origins, horizons, week_bins, _WEEKS_AVERAGED, quick),
            self._shape(origins, horizons, week_bins, _WEEKS_AVERAGED, slow),
        ]
        said = [np.where(np.isnan(forecast), naive, np.maximum(forecast, self.floor)) for forecast in seasonal]
        return np.concatenate([levels, np.stack(said, axis=2)], axis=2)

    def _seasons(
        self, origins: NDArray[np.int_], horizons: NDArray[np.int_], period: int, count: int
    ) -> Iterator[NDArray[np.int_]]:
        """Bins a whole number of periods before the target, the most recent one that the origin knows first."""
        newest = origins[None, :] + (horizons - -(-horizons // period) * period)[:, None]
        for season in range(min(count, self.rates.size // period + 1)):
            yield newest - season * period

    def _same_bin(self, origins: NDArray[np.int_], horizons: NDArray[np.int_], period: int) -> Floats:
        """The most recent known rate that is a whole number of periods before the target."""
        answer = np.full((horizons.size, origins.size), np.nan)
        for bins in self._seasons(origins, horizons, period, _DAYS_AVERAGED):
            answer = np.where(np.isnan(answer) & (bins >= 0), self.rates[np.maximum(bins, 0)], answer)
        return answer

    def _shape(
        self, origins: NDArray[np.int_], horizons: NDArray[np.int_], period: int, count: int, level: Floats
    ) -> Floats:
        """The present level times the mean ratio, in earlier seasons, of the target bin to the level before it.

        The level is taken where the season was when it is now the origin, less than a period before the target bin.
        """
        back = (horizons % period)[:, None]
        total = np.zeros((horizons.size, origins.size))
        seen = np.zeros_like(total)
        for bins in self._seasons(origins, horizons, period, count):
            usable = bins >= back
            at = np.maximum(bins, 0)
            usable &= ~np.isnan(self.rates[at])
            total += np.where(usable, self.log_filled[at] - level[np.maximum(bins - back, 0)], 0.0)
            seen += usable
        mean = np.divide(total, seen, out=np.full_like(total, np.nan), where=seen > 0)
        return np.exp(level[origins][None, :] + mean)


def _carried_forward(rates: Floats) -> Floats:
    """Gaps filled with the last known value (leading ones with the first)."""
    known = np.flatnonzero(~np.isnan(rates))
    last = np.searchsorted(known, np.arange(rates.size), side="right") - 1
    return rates[known[np.maximum(last, 0)]]


def discounted_sums(values: Floats, keep: Floats) -> Floats:
    """Running sums over the first axis in which every step multiplies what came before by ``keep`` (broadcast)."""
    sums = np.empty((values.shape[0], *np.broadcast_shapes(values.shape[1:], keep.shape)))
    total = np.zeros(sums.shape[1:])
    for index, value in enumerate(values):
        total = keep * total + value
        sums[index] = total
    return sums


def _smoothed(values: Floats, half_lives_bins: Sequence[float]) -> Floats:
    """Exponentially weighted means of the values so far, one column per half-life."""
    keep = 0.5 ** (1.0 / np.asarray(half_lives_bins))
    ones = np.ones((values.size, 1))
    return discounted_sums(values[:, None], keep) / discounted_sums(ones, keep)


def _running_median(values: Floats, window: int) -> Floats:
    """Median of the last ``window`` values (before the start: of the first value repeated)."""
    padded = np.concatenate([np.full(window - 1, values[0]), values])
    return np.median(sliding_window_view(padded, window), axis=1)
