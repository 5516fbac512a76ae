"""How far a history says its forecasts can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.demand.backtest import Backtest
from planner.demand.experts import BASELINES

__all__ = ["Accuracy", "accuracy_of"]

_SCORED_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How forecasts this far ahead did on the last week of the history (the last half of a shorter one).

    Attributes:
        horizon_seconds: from the last known bin to the forecast one.
        wape: sum of absolute errors over sum of rates, of ours.
        baseline_wape: the same of `planner.demand.experts.BASELINES`, by name.
        coverage_90: part of the outcomes at or below the 90 % quantile.
        outcomes: bins that were scored.
    """

    horizon_seconds: int
    wape: float
    baseline_wape: dict[str, float]
    coverage_90: float
    outcomes: int


def accuracy_of(test: Backtest) -> tuple[Accuracy, ...]:
    """Scores per horizon on the last week of origins; horizons without an outcome are left out."""
    bins = test.history.rates.size
    first = max(bins // 2, bins - _SCORED_DAYS * test.history.day_bins)
    scores = [_score(test, row, np.arange(first, bins - horizon)) for row, horizon in enumerate(test.horizons)]
    return tuple(score for score in scores if score is not None)


def _score(test: Backtest, row: int, origins: NDArray[np.int_]) -> Accuracy | None:
    outcomes = test.outcomes()[row]
    origins = origins[~np.isnan(outcomes[origins])]
    truth = outcomes[origins]
    if not truth.sum():
        return None

    def wape(said: NDArray[np.float64]) -> float:
        return float(np.abs(said[row, origins] - truth).sum() / truth.sum())

    bound = test.forecasts[row, origins] * test.quantile_factors(np.array([0.9]), origins, rows=[row])[0, :, 0]
    return Accuracy(
        horizon_seconds=int(test.horizons[row]) * test.history.bin_seconds,
        wape=wape(test.forecasts),
        baseline_wape={name: wape(test.baseline(name)) for name in BASELINES},
        coverage_90=float((truth <= bound).mean()),
        outcomes=int(origins.size),
    )
