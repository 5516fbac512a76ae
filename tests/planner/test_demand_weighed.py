"""Scaling rules fitted by quantile regression: what they promise on their history, and how they are written down."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from planner.demand.history import History
from planner.demand.replay import Load, Outcome, replay
from planner.demand.rule import Signal, WeighedRule, keda_rate_trigger
from planner.demand.scalers import UtilisationScaler, last_minute
from planner.demand.tuning import choose_rule
from planner.demand.weighed import QUANTILES, SIGNALS, WeighedScaler, _signals, fitted_rules


@cache
def history() -> History:
    """Three days whose ups and downs are wild in some hours and mild in others."""
    rng = np.random.default_rng(5)
    wild = np.where(np.arange(432) // 36 % 2, 0.25, 0.04)
    level = np.zeros(432)
    for step in range(1, 432):
        level[step] = 0.9 * level[step - 1] + wild[step] * rng.normal()
    return History(name="chat", start_seconds=0, bin_seconds=600, rates=20 * np.exp(level))


@cache
def load() -> Load:
    return Load.of(history(), 1.0, step_seconds=60)


@cache
def rules() -> tuple[WeighedRule, ...]:
    return tuple(fitted_rules(load()))


def replayed(chosen: list[WeighedRule], *, minimum: int = 1) -> Outcome:
    scaler = WeighedScaler(load(), chosen, minimum=np.full(load().rates.size, minimum))
    return replay(load(), scaler)


def test_a_share_of_the_highest_rates_soon_stays_below_the_sum() -> None:
    seen = last_minute(load())
    known = _signals(seen, 60)
    assert [rule.quantile for rule in rules()] == list(QUANTILES)
    for rule in rules():
        weights = np.zeros(len(SIGNALS))
        for signal in rule.signals:
            weights[SIGNALS.index((signal.function, signal.window_seconds))] = signal.weight
        origins = np.arange(120, seen.size - 11)
        outcome = np.array([seen[origin : origin + 11].max() for origin in origins])
        assert (outcome <= known[origins] @ weights + 1e-6).mean() == pytest.approx(rule.quantile, abs=0.03)


def test_a_higher_quantile_costs_more_and_violates_less() -> None:
    outcome = replayed([rules()[0], rules()[-1]])
    assert outcome.gpu_hours[0] < outcome.gpu_hours[1]
    assert outcome.violation_minutes[0] > outcome.violation_minutes[1]


def test_it_never_asks_for_less_than_the_rate_now_or_the_minimum() -> None:
    nothing = WeighedRule(quantile=0.5, signals=(), hold_seconds=60)
    needs = float(load().needed.mean()) * load().rates.size / 60
    assert replayed([nothing]).gpu_hours[0] >= 0.97 * needs
    most = int(load().needed.max()) + 5
    assert replayed([nothing], minimum=most).gpu_hours[0] == pytest.approx(most * load().rates.size / 60, rel=0.01)


def test_the_cheapest_rule_that_keeps_below_the_plain_autoscaler_is_chosen() -> None:
    rule = choose_rule(history(), 1.0)
    assert isinstance(rule, WeighedRule) and rule == choose_rule(history(), 1.0)
    plain = replay(load(), UtilisationScaler(load(), np.array([0.7])))
    ours = replayed([rule])
    assert ours.gpu_hours[0] < 0.95 * plain.gpu_hours[0]
    assert ours.violation_minutes[0] <= plain.violation_minutes[0]


def test_a_history_of_a_day_fits_none() -> None:
    short = History(name="chat", start_seconds=0, bin_seconds=600, rates=history().rates[:144])
    assert fitted_rules(Load.of(short, 1.0, step_seconds=60)) == []


def test_the_sum_as_a_keda_trigger() -> None:
    signals = (
        Signal(function="rate", window_seconds=60, weight=0.7),
        Signal(function="max", window_seconds=1200, weight=-0.25),
    )
    data = keda_rate_trigger(
        WeighedRule(quantile=0.95, signals=signals, hold_seconds=60),
        server="http://prometheus:9090", rate_query="sum(rate(q[1m]))", requests_per_second_per_replica=4,
    )  # fmt: skip
    assert data["trigger"]["metadata"]["query"] == (  # type: ignore[index]
        "((0.7 * (sum(rate(q[1m]))) + -0.25 * max_over_time((sum(rate(q[1m])))[1200s:15s])) > (sum(rate(q[1m]))) "
        "or (sum(rate(q[1m])))) / 4"
    )
    # Without it the autoscaler would leave the count as it is while the sum asks for a tenth more or less.
    assert data["behavior"] == {
        "scaleUp": {"tolerance": "0"}, "scaleDown": {"stabilizationWindowSeconds": 60, "tolerance": "0"}
    }  # fmt: skip
