"""Scalers to replay: the horizontal pod autoscaler as Kubernetes ships it, ours on top of it, fixed, and all-knowing.

The autoscaler's arithmetic follows kubernetes/kubernetes, pkg/controller/podautoscaler (replica_calculator.go,
horizontal.go) with its defaults: a sync every 15 s, a tolerance of 0.1, 300 s of stabilisation before scaling down,
scaling up by at most 100 % or 4 pods per 15 s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from planner.demand.replay import Fleet, Load, Scaler
from planner.demand.rule import RateRule

__all__ = [
    "Behaviour",
    "Planned",
    "RateScaler",
    "SideBySide",
    "UtilisationScaler",
    "all_knowing",
    "deviation",
    "fixed",
    "last_minute",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

_TOLERANCE = 0.1
_SCALE_DOWN_STABILISATION_SECONDS = 300
_SCALE_UP_FACTOR = 2
_SCALE_UP_PODS = 4


class Behaviour:
    """The autoscaler's default behaviour, given recommendations: one value per setting."""

    def __init__(self, stabilisation_seconds: Ints, step_seconds: int) -> None:
        lengths = np.maximum(1, stabilisation_seconds // step_seconds)
        self._recent = {
            int(length): (
                np.flatnonzero(lengths == length),
                np.zeros((length, int((lengths == length).sum())), dtype=int),
            )
            for length in np.unique(lengths)
        }
        self._highest = np.zeros(lengths.size, dtype=int)

    def apply(self, step: int, current: Ints, recommended: Ints) -> Ints:
        """What is asked for: up within the rate limit, down only to the highest recent recommendation."""
        for length, (settings, recent) in self._recent.items():
            recent[step % length] = recommended[settings]
            self._highest[settings] = recent.max(axis=0)
        most = np.maximum(current * _SCALE_UP_FACTOR, current + _SCALE_UP_PODS)
        return np.where(recommended >= current, np.minimum(recommended, most), np.minimum(current, self._highest))


class UtilisationScaler:
    """The plain HPA on average utilisation of the ready pods, e.g. of their GPUs; one setting per target.

    Utilisation cannot exceed one, so that a jump beyond 1 / target takes several rounds. Starting pods count as idle
    when scaling up and not at all when scaling down.
    """

    def __init__(self, load: Load, targets: Floats) -> None:
        self.settings = targets.size
        self._targets = targets
        self._behaviour = Behaviour(np.full(targets.size, _SCALE_DOWN_STABILISATION_SECONDS), load.step_seconds)

    def ask(self, step: int, fleet: Fleet) -> Ints:
        used = np.minimum(fleet.busy, fleet.ready)
        ratio = used / fleet.ready / self._targets
        # The second look of the replica calculator, with starting pods as idle ones, only ever holds back.
        diluted = used / fleet.asked / self._targets
        up = np.where(diluted > 1 + _TOLERANCE, np.ceil(diluted * fleet.asked - 1e-9), fleet.asked)
        down = np.ceil(ratio * fleet.ready - 1e-9)
        recommended = np.where(ratio > 1 + _TOLERANCE, up, np.where(ratio < 1 - _TOLERANCE, down, fleet.asked))
        return self._behaviour.apply(step, fleet.asked, recommended.astype(int))


class RateScaler:
    """Ours: KEDA on the arrival rate of the last minute and its deviation, above a scheduled minimum; a rule each.

    The autoscaler treats such an external metric as: nothing within the tolerance, else metric / target rounded up.
    """

    def __init__(self, load: Load, rules: list[RateRule], *, minimum: Ints) -> None:
        self.settings = len(rules)
        windows = sorted({rule.window_seconds for rule in rules})
        seen = last_minute(load) / load.requests_per_second_per_replica
        deviations = np.stack([deviation(seen, window // load.step_seconds) for window in windows])
        self._seen = seen
        self._deviation = deviations
        self._row = np.array([windows.index(rule.window_seconds) for rule in rules])
        self._headroom = np.array([rule.headroom for rule in rules])
        self._factor = np.array([rule.deviations for rule in rules])
        self._minimum = minimum
        self._behaviour = Behaviour(np.array([rule.hold_seconds for rule in rules]), load.step_seconds)

    def ask(self, step: int, fleet: Fleet) -> Ints:
        metric = self._headroom * self._seen[step] + self._factor * self._deviation[self._row, step]
        ratio = metric / fleet.asked
        keep = np.abs(ratio - 1.0) <= _TOLERANCE
        wanted = np.where(keep, fleet.asked, np.ceil(metric - 1e-9)).astype(int)
        recommended = np.maximum(wanted, self._minimum[step])
        return self._behaviour.apply(step, fleet.asked, recommended)


class SideBySide:
    """Several scalers in one replay, their settings one after another."""

    def __init__(self, scalers: Sequence[Scaler]) -> None:
        self.settings = sum(scaler.settings for scaler in scalers)
        ends = np.cumsum([scaler.settings for scaler in scalers])
        self._parts = [(scaler, slice(end - scaler.settings, end)) for scaler, end in zip(scalers, ends, strict=True)]

    def ask(self, step: int, fleet: Fleet) -> Ints:
        asked = np.empty(self.settings, dtype=int)
        for scaler, part in self._parts:
            seen = Fleet(asked=fleet.asked[part], ready=fleet.ready[part], busy=fleet.busy[part])
            asked[part] = scaler.ask(step, seen)
        return asked


class Planned:
    """Asks for what was decided beforehand, per step."""

    settings = 1

    def __init__(self, replicas: Ints) -> None:
        self._replicas = replicas

    def ask(self, step: int, fleet: Fleet) -> Ints:
        return self._replicas[step : step + 1]


def fixed(load: Load) -> Planned:
    """Capacity for the highest rate, always."""
    return Planned(np.full(load.rates.size, load.needed.max()))


def all_knowing(load: Load) -> Planned:
    """The least capacity that never queues: what is needed at any time within a cold start from now."""
    cold = load.cold_start_seconds // load.step_seconds
    padded = np.concatenate([load.needed, np.full(cold, load.needed[-1])])
    return Planned(sliding_window_view(padded, cold + 1).max(axis=1))


def deviation(values: Floats, steps: int) -> Floats:
    """Standard deviation of the last ``steps`` values at every step, as PromQL's ``stddev_over_time``."""
    shifted = values - values.mean()
    sums = np.cumsum(np.concatenate([[0.0], shifted]))
    squares = np.cumsum(np.concatenate([[0.0], shifted * shifted]))
    end = np.arange(1, values.size + 1)
    begin = np.maximum(0, end - max(1, steps))
    count = end - begin
    mean = (sums[end] - sums[begin]) / count
    return np.sqrt(np.maximum((squares[end] - squares[begin]) / count - mean * mean, 0.0))


def last_minute(load: Load) -> Floats:
    """Mean rate of the last minute, what a metrics system knows of now."""
    steps = 60 // load.step_seconds
    padded = np.concatenate([np.full(steps - 1, load.rates[0]), load.rates])
    return sliding_window_view(padded, steps).mean(axis=1)
