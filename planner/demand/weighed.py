"""A scaling rule fitted to a history: a quantile of the highest rate soon, as a sum of what a metrics system knows.

Quantile regression (Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978) as a linear program: weights
that put a share ``quantile`` of what came below the sum. Headroom in proportion is the special case of one signal.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from planner.demand.replay import Fleet, Load
from planner.demand.rule import Signal, WeighedRule
from planner.demand.scalers import Behaviour, deviation, last_minute

__all__ = ["QUANTILES", "SIGNALS", "WeighedScaler", "fitted_rules"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

SIGNALS = (
    ("rate", 60), ("avg", 1200), ("avg", 3600), ("avg", 7200), ("avg", 21_600), ("stddev", 1200), ("stddev", 3600),
    ("stddev", 7200), ("max", 1200), ("max", 3600),
)  # fmt: skip
QUANTILES = (0.8, 0.85, 0.9, 0.925, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985)
_HOLD_SECONDS = 60
_LEAST_WEIGHT = 1e-4
# Weights of ten signals need some days to be more than the noise of one.
_FEWEST_SAMPLES = 600
_MOST_SAMPLES = 2000
_SAMPLED_SECONDS = 300


class WeighedScaler:
    """KEDA on sums of signals, above a scheduled minimum; a rule each. With a tolerance of zero."""

    def __init__(self, load: Load, rules: list[WeighedRule], *, minimum: Ints) -> None:
        self.settings = len(rules)
        seen = last_minute(load) / load.requests_per_second_per_replica
        weights = np.zeros((len(SIGNALS), len(rules)))
        for column, rule in enumerate(rules):
            for signal in rule.signals:
                weights[SIGNALS.index((signal.function, signal.window_seconds)), column] = signal.weight
        wanted = np.maximum(_signals(seen, load.step_seconds) @ weights, seen[:, None])
        self._wanted = np.maximum(np.ceil(wanted - 1e-9).astype(int), minimum[:, None])
        self._behaviour = Behaviour(np.array([rule.hold_seconds for rule in rules], dtype=int), load.step_seconds)

    def ask(self, step: int, fleet: Fleet) -> Ints:
        return self._behaviour.apply(step, fleet.asked, self._wanted[step])


def fitted_rules(load: Load) -> list[WeighedRule]:
    """One rule per quantile; none where the history is too short to fit any."""
    seen = last_minute(load) / load.requests_per_second_per_replica
    ahead = 2 * load.cold_start_seconds // load.step_seconds + 1
    first, last = 7200 // load.step_seconds, seen.size - ahead
    stride = max(1, _SAMPLED_SECONDS // load.step_seconds, (last - first) // _MOST_SAMPLES)
    origins = np.arange(first, max(first, last), stride)
    if origins.size < _FEWEST_SAMPLES:
        return []
    outcome = sliding_window_view(seen, ahead).max(axis=1)[origins]
    known = _signals(seen, load.step_seconds)[origins]
    return [_rule(quantile, _regression(known, outcome, quantile)) for quantile in QUANTILES]


def _rule(quantile: float, weights: Floats) -> WeighedRule:
    signals = tuple(
        Signal(function=function, window_seconds=window, weight=round(float(weight), 4))  # type: ignore[arg-type]
        for (function, window), weight in zip(SIGNALS, weights, strict=True)
        if abs(weight) > _LEAST_WEIGHT
    )
    return WeighedRule(quantile=quantile, signals=signals, hold_seconds=_HOLD_SECONDS)


def _regression(known: Floats, outcome: Floats, quantile: float) -> Floats:
    from scipy.optimize import linprog
    from scipy.sparse import eye, hstack

    samples, signals = known.shape
    cost = np.concatenate([np.zeros(2 * signals), np.full(samples, quantile), np.full(samples, 1 - quantile)])
    rows = hstack([known, -known, eye(samples), -eye(samples)]).tocsr()
    found = linprog(cost, A_eq=rows, b_eq=outcome, bounds=(0, None), method="highs")
    if found.x is None:
        return np.zeros(signals)
    return np.asarray(found.x[:signals] - found.x[signals : 2 * signals], dtype=np.float64)


def _signals(seen: Floats, step_seconds: int) -> Floats:
    """Every signal at every step: (steps, signals)."""
    sums = np.cumsum(np.concatenate([[0.0], seen]))
    end = np.arange(1, seen.size + 1)
    columns = []
    for function, window in SIGNALS:
        steps = max(1, window // step_seconds)
        if function == "avg":
            begin = np.maximum(0, end - steps)
            columns.append((sums[end] - sums[begin]) / (end - begin))
        elif function == "stddev":
            columns.append(deviation(seen, steps))
        elif function == "max":
            padded = np.concatenate([np.full(steps, seen[0]), seen])
            columns.append(sliding_window_view(padded, steps + 1).max(axis=1))
        else:
            columns.append(seen)
    return np.stack(columns, axis=1)
