"""Rolling-origin forecasts of a history: at every bin, what would have been said of the bins ahead, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.demand.blend import LogRegression, exponential_weights, mixed, ml_poly
from planner.demand.experts import BASELINES, EXPERT_NAMES, ExpertPanel
from planner.demand.history import History

__all__ = ["Backtest"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

# The window of residuals that give the quantiles: each hour of the week once, and no older than that: traffic drifts.
_RESIDUAL_DAYS = 7
# The blend gives way to a baseline that was better by more than this part over the history; less is noise, and
# switching on noise costs more than it saves.
_TOLERATED_EXCESS = 0.02
_BASELINE_COLUMNS = [EXPERT_NAMES.index(name) for name in BASELINES]


@dataclass(frozen=True)
class Backtest:
    """Forecasts at every origin of ``history`` for several horizons, each made from what was known at its origin.

    Attributes:
        history: at least one request in it; zeros that are recording gaps already masked.
        horizons: in bins, ascending, at least 1.
    """

    history: History
    horizons: Ints

    @cached_property
    def _panel(self) -> ExpertPanel:
        return ExpertPanel.of(self.history)

    @cached_property
    def _experts(self) -> Floats:
        """Forecasts of the experts and, as the last column, of the regression over them: (h, n, k + 1)."""
        return self._with_regression(self._panel_forecasts, self._regression.coefficients)

    @cached_property
    def _panel_forecasts(self) -> Floats:
        return self._panel.forecasts(np.arange(self.history.rates.size), self.horizons)

    @cached_property
    def _regression(self) -> LogRegression:
        return LogRegression(self._panel_forecasts, self.history.rates, self.horizons, day_bins=self.history.day_bins)

    @staticmethod
    def _with_regression(forecasts: Floats, coefficients: Floats) -> Floats:
        regression = LogRegression.forecasts(coefficients, forecasts)
        return np.concatenate([forecasts, regression[..., None]], axis=-1)

    @cached_property
    def weights(self) -> Floats:
        """Weights at every origin over the experts and the regression: (h, n, k + 1), summing to one.

        Where the blend has so far been worse than a baseline by more than 2 %, the whole weight is that baseline's.
        """
        rates = self.history.rates
        convex = ml_poly(self._experts, rates, self.horizons)
        sharp = exponential_weights(self._experts, rates, self.horizons, day_bins=self.history.day_bins)
        pair = np.stack([mixed(convex, self._experts), mixed(sharp, self._experts)], axis=2)
        shares = ml_poly(pair, rates, self.horizons)
        blend = shares[:, :, :1] * convex + shares[:, :, 1:] * sharp
        candidates = np.concatenate(
            [mixed(blend, self._experts)[..., None], self._experts[..., _BASELINE_COLUMNS]], axis=2
        )
        errors = self._errors_so_far(candidates)
        errors[..., 0] /= 1.0 + _TOLERATED_EXCESS
        choice = errors.argmin(axis=2)
        alone = np.zeros((len(_BASELINE_COLUMNS), blend.shape[2]))
        alone[np.arange(len(_BASELINE_COLUMNS)), _BASELINE_COLUMNS] = 1.0
        return np.where((choice == 0)[..., None], blend, alone[np.maximum(choice - 1, 0)])

    def _errors_so_far(self, forecasts: Floats) -> Floats:
        """Sum of absolute errors known at each origin, per forecast: same shape.

        Early forecasts do not count: the first day of outcomes knows no season, the second is there to learn from.
        """
        errors = np.zeros_like(forecasts)
        for row, horizon in enumerate(self.horizons):
            first = int(horizon) + 2 * self.history.day_bins
            made = forecasts[row, first : max(first, self.history.rates.size - horizon)]
            errors[row, first + horizon :] = np.nan_to_num(np.abs(made - self.history.rates[first + horizon :, None]))
        return np.cumsum(errors, axis=1)

    @cached_property
    def forecasts(self) -> Floats:
        """The forecast made at each origin for the bin ``horizon`` later: (h, n), requests per second."""
        return mixed(self.weights, self._experts)

    def baseline(self, name: str) -> Floats:
        """The same of one of `BASELINES`."""
        return self._experts[:, :, EXPERT_NAMES.index(name)]

    def outcomes(self) -> Floats:
        """What then happened: (h, n), NaN where unknown or after the end."""
        padded = np.concatenate([self.history.rates, np.full(int(self.horizons.max()), np.nan)])
        return padded[np.arange(self.history.rates.size)[None, :] + self.horizons[:, None]]

    def quantile_factors(self, levels: Floats, origins: Ints, *, rows: Sequence[int] | None = None) -> Floats:
        """Factors on the forecast that the outcome stays below with probability ``levels``: (rows, origins, levels).

        Split conformal prediction on the ratios of outcome to forecast known at the origin, of the trailing week, with
        the order statistic of rank q (n + 1) (Lei et al., "Distribution-free predictive inference for regression",
        2018). With no ratio known the factor is one. ``rows`` picks horizons by index; all of them by default.
        """
        ratios = self.outcomes() / self.forecasts
        window = _RESIDUAL_DAYS * self.history.day_bins
        picked = range(self.horizons.size) if rows is None else rows
        factors = np.ones((len(picked), origins.size, levels.size))
        for place, row in enumerate(picked):
            for column, origin in enumerate(origins):
                end = int(origin - self.horizons[row] + 1)
                known = np.sort(ratios[row, max(0, end - window) : max(0, end)])
                count = known.size - int(np.isnan(known).sum())  # np.sort puts NaN last
                if count:
                    rank = np.ceil(levels * (count + 1)).astype(int)
                    factors[place, column] = known[np.clip(rank, 1, count) - 1]
        return factors

    def expert_forecasts_ahead(self, ahead: Ints) -> Floats:
        """From the last bin on, under each horizon's final coefficients: (h, ahead, k + 1)."""
        last = np.array([self.history.rates.size - 1])
        plain = self._panel.forecasts(last, ahead)[:, 0, :]
        repeated = np.broadcast_to(plain, (self.horizons.size, *plain.shape))
        coefficients = self._regression.coefficients[:, -1:, :]
        return self._with_regression(repeated, np.broadcast_to(coefficients, repeated.shape))
