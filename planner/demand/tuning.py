"""Chooses a scaling rule by replaying it on the history, against the plain autoscaler."""

from __future__ import annotations

from itertools import product

import numpy as np

from planner.demand.history import History
from planner.demand.replay import Load, replay
from planner.demand.rule import RateRule, WeighedRule
from planner.demand.scalers import RateScaler, SideBySide, UtilisationScaler
from planner.demand.weighed import WeighedScaler, fitted_rules

__all__ = ["REFERENCE_UTILISATION", "choose_rule"]

# The plain autoscaler's target: the customary one for servers that need minutes to start (Kubernetes' own default of
# 80 % of CPU is meant for servers that need seconds).
REFERENCE_UTILISATION = 0.7
_HEADROOMS = (1.05, 1.1, 1.2, 1.3)
_DEVIATIONS = (0.5, 1.0, 1.5, 2.0)
_WINDOWS_SECONDS = (1200, 3600, 7200)
_HOLDS_SECONDS = (300, 1200)
# The future will be a little worse than the past that the rule is chosen on.
_PART_OF_THE_REFERENCE = 0.8
# Comparing settings needs no 15 s steps: a minute gives the same order four times as fast.
_STEP_SECONDS = 60


def choose_rule(
    history: History,
    requests_per_second_per_replica: float,
    *,
    cold_start_seconds: int = 300,
    reference_utilisation: float = REFERENCE_UTILISATION,
) -> RateRule | WeighedRule:
    """The rule with the fewest GPU-hours whose violation minutes on the history stay below 80 % of the plain HPA's.

    Tried are a grid of `RateRule` and, on histories of two days or more, one `WeighedRule` per quantile.

    Args:
        history: the past to judge by; days, at best weeks.
        requests_per_second_per_replica: what one replica serves within the objective.
        cold_start_seconds: from asking for a replica to its first request.
        reference_utilisation: the plain autoscaler's target.

    Returns:
        When no rule stays below, the one with the fewest violation minutes (of these, the cheapest).
    """
    load = Load.of(
        history,
        requests_per_second_per_replica,
        cold_start_seconds=cold_start_seconds,
        step_seconds=_STEP_SECONDS,
    )
    reference = replay(load, UtilisationScaler(load, np.array([reference_utilisation])))
    grid = [
        RateRule(headroom=headroom, deviations=deviations, window_seconds=window, hold_seconds=hold)
        for headroom, deviations, window, hold in product(_HEADROOMS, _DEVIATIONS, _WINDOWS_SECONDS, _HOLDS_SECONDS)
    ]
    weighed = fitted_rules(load)
    rules = [*grid, *weighed]
    none = np.ones(load.rates.size, dtype=int)
    scalers = [RateScaler(load, grid, minimum=none), WeighedScaler(load, weighed, minimum=none)]
    outcome = replay(load, SideBySide(scalers[: 2 if weighed else 1]))
    limit = max(_PART_OF_THE_REFERENCE * float(reference.violation_minutes[0]), float(outcome.violation_minutes.min()))
    affordable = np.where(outcome.violation_minutes <= limit, outcome.gpu_hours, np.inf)
    return rules[int(affordable.argmin())]
