"""Forecasts: laws that hold for every history, and what they must get right on histories with a known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.demand import Forecast, History, forecast
from planner.demand.backtest import Backtest
from planner.demand.experts import BASELINES, EXPERT_NAMES, ExpertPanel
from planner.faults import UserFault

MONDAY = 1_772_409_600.0
HALF_HOUR = 1800


def history_of(rates: np.ndarray, *, bin_seconds: int = HALF_HOUR) -> History:
    return History(name="chat", start_seconds=MONDAY, bin_seconds=bin_seconds, rates=np.asarray(rates, dtype=float))


def daily(days: int, *, noise: float, bin_seconds: int = HALF_HOUR, seed: int = 0) -> np.ndarray:
    """A daily wave between 10 and 90 requests/s, with gamma noise of a relative standard deviation."""
    moments = np.arange(days * 86_400 // bin_seconds) * bin_seconds
    wave = 50 + 40 * np.sin(2 * np.pi * moments / 86_400)
    shape = 1 / noise**2
    return wave * np.random.default_rng(seed).gamma(shape, 1 / shape, moments.size)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Half-hourly histories of 12 bins to 4 days: levels that jump, bursts, zeros and gaps."""
    size = draw(st.integers(12, 192))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    level = np.exp(np.cumsum(rng.normal(0, draw(st.floats(0, 0.5)), size)))
    wave = 1 + draw(st.floats(0, 1)) * np.sin(2 * np.pi * np.arange(size) / 48)
    rates = draw(st.floats(0.01, 1000)) * level * wave
    rates[rng.random(size) < draw(st.floats(0, 0.3))] = 0.0
    gaps = rng.random(size) < draw(st.floats(0, 0.3))
    gaps[rng.permutation(size)[:12]] = False
    rates[gaps] = np.nan
    rates[np.flatnonzero(~gaps)[0]] = draw(st.floats(0.01, 1000))
    return replace(history_of(rates), zeros_are_measured=True)


@settings(max_examples=25, deadline=None)
@given(histories())
def test_quantiles_are_ordered_finite_and_not_negative(history: History) -> None:
    predicted = forecast(history, ahead_seconds=2 * 86_400)
    assert predicted.quantiles.shape == (96, len(predicted.levels))
    assert np.all(np.isfinite(predicted.quantiles)) and np.all(predicted.quantiles >= 0)
    assert np.all(np.diff(predicted.quantiles, axis=1) >= 0)
    assert np.all(predicted.expected > 0)


@settings(max_examples=20, deadline=None)
@given(histories(), st.sampled_from([0.125, 8.0, 10.0]))
def test_ten_times_the_history_is_ten_times_the_forecast(history: History, factor: float) -> None:
    plain = forecast(history, ahead_seconds=86_400)
    scaled = forecast(replace(history, rates=history.rates * factor), ahead_seconds=86_400)
    np.testing.assert_allclose(scaled.quantiles, plain.quantiles * factor, rtol=1e-6, atol=1e-9 * factor)
    np.testing.assert_allclose(scaled.expected, plain.expected * factor, rtol=1e-6)


@settings(max_examples=10, deadline=None)
@given(histories())
def test_the_same_history_gives_the_same_bytes(history: History) -> None:
    assert forecast(history).quantiles.tobytes() == forecast(replace(history)).quantiles.tobytes()


@settings(max_examples=10, deadline=None)
@given(histories(), st.integers(1, 40))
def test_no_forecast_of_the_past_knows_its_future(history: History, cut: int) -> None:
    horizons = np.array([1, 4])
    # The rate that counts as zero is a part of the mean of the whole history, so the cut one must share that mean.
    scale = np.nanmean(history.rates) / np.nanmean(history.rates[: max(12, history.rates.size - cut)])
    shorter = replace(history, rates=history.rates[: max(12, history.rates.size - cut)])
    whole, part = ExpertPanel.of(history), ExpertPanel.of(shorter)
    assert part.floor == pytest.approx(whole.floor / scale)
    origins = np.arange(shorter.rates.size)
    above = np.maximum(whole.floor, part.floor)
    seen = np.maximum(whole.forecasts(origins, horizons), above)
    early = np.maximum(part.forecasts(origins, horizons), above)
    plain = [EXPERT_NAMES.index(name) for name in BASELINES]
    np.testing.assert_allclose(seen[..., plain], early[..., plain])


def test_a_backtest_does_not_change_when_the_future_does() -> None:
    rates = daily(6, noise=0.2)
    other = rates.copy()
    other[200:] = rates[200:][::-1]
    horizons = np.array([1, 2, 48])
    first, second = Backtest(history_of(rates), horizons), Backtest(history_of(other), horizons)
    np.testing.assert_allclose(first.forecasts[:, :200], second.forecasts[:, :200])
    origins = np.arange(100, 200)
    levels = np.array([0.5, 0.9])
    np.testing.assert_allclose(first.quantile_factors(levels, origins), second.quantile_factors(levels, origins))


def test_a_daily_wave_is_found_and_beats_every_baseline() -> None:
    rates = daily(14, noise=0.1, bin_seconds=600)
    predicted = forecast(history_of(rates, bin_seconds=600))
    truth = 50 + 40 * np.sin(2 * np.pi * np.arange(1008) / 144)
    assert np.abs(predicted.expected - truth).sum() / truth.sum() < 0.08
    assert np.abs(predicted.expected - truth)[:144].sum() / truth[:144].sum() < 0.04
    assert [score.horizon_seconds for score in predicted.accuracy] == [600, 3600, 14_400, 43_200, 129_600, 302_400]
    for score in predicted.accuracy:
        assert score.wape <= 0.98 * min(score.baseline_wape.values())
        assert score.coverage_90 >= 0.87
    for score in predicted.accuracy[:4]:
        assert score.wape <= 0.8 * min(score.baseline_wape.values())
    tested, short = predicted.warnings
    assert "tests forecasts up to 84 h ahead" in tested and "less than three weeks" in short


def test_the_quantile_covers_what_comes() -> None:
    rates = daily(15, noise=0.3, seed=3)
    predicted = forecast(history_of(rates[: 14 * 48]), ahead_seconds=86_400)
    below = (rates[14 * 48 :] <= predicted.quantile(0.9)).mean()
    assert 0.8 <= below <= 1.0
    assert 0.2 <= (rates[14 * 48 :] <= predicted.quantile(0.5)).mean() <= 0.8


@pytest.mark.parametrize("seed", range(3))
def test_a_random_walk_is_no_worse_than_repeating_the_last_value(seed: int) -> None:
    steps = np.random.default_rng(seed).normal(0, 0.05, 14 * 48)
    (nearest, *_) = forecast(history_of(100 * np.exp(np.cumsum(steps)))).accuracy
    assert nearest.wape <= 1.03 * min(nearest.baseline_wape.values())


def test_a_weekly_pattern_is_used_once_it_was_seen() -> None:
    moments = np.arange(28 * 48)
    weekend = (moments // 48) % 7 >= 5
    rates = np.where(weekend, 10.0, 100.0) * np.random.default_rng(0).gamma(100, 0.01, moments.size)
    predicted = forecast(history_of(rates))
    ahead = (np.arange(7 * 48) // 48) % 7 >= 5
    assert predicted.expected[ahead].mean() < 25
    assert predicted.expected[~ahead].mean() > 80


def test_recording_gaps_are_ignored_and_nightly_zeros_are_not() -> None:
    rates = daily(8, noise=0.1)
    gap = rates.copy()
    gap[100:110] = 0.0
    masked = history_of(gap).with_outages_masked()
    assert np.isnan(masked.rates[100:110]).all() and masked.known.sum() == rates.size - 10
    night = rates.copy()
    night[np.arange(night.size) % 48 < 8] = 0.0
    assert history_of(night).with_outages_masked().known.all()
    assert forecast(history_of(night)).quantile(0.5)[:8].max() < 1.0
    rare = np.random.default_rng(0).poisson(0.5, 400) / HALF_HOUR
    assert history_of(rare).with_outages_masked().known.all()
    told = replace(history_of(gap), zeros_are_measured=True)
    assert told.with_outages_masked().known.all()


def test_short_histories_say_what_they_cannot_know() -> None:
    hour = history_of(np.full(60, 5.0), bin_seconds=60)
    predicted = forecast(hour)
    np.testing.assert_allclose(predicted.quantiles, 5.0)
    assert any("tests forecasts up to" in warning for warning in predicted.warnings)
    assert any("less than a day" in warning for warning in predicted.warnings)
    days = forecast(history_of(daily(3, noise=0.1)))
    assert any("less than two weeks" in warning for warning in days.warnings)
    holes = daily(14, noise=0.1)
    holes[::3] = np.nan
    assert any("33% of the bins are unknown" in warning for warning in forecast(history_of(holes)).warnings)


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        (np.full(11, 1.0), "has 11 usable bins of 1800 s"),
        (np.zeros(50), "has no request"),
        (np.full(50, np.nan), "has 0 usable bins"),
    ],
)
def test_histories_that_cannot_be_forecast(rates: np.ndarray, said: str) -> None:
    with pytest.raises(UserFault, match=said):
        forecast(history_of(rates))


def test_only_forecast_quantiles_can_be_asked_for() -> None:
    predicted: Forecast = forecast(history_of(daily(3, noise=0.1)), quantiles=(0.9, 0.5))
    assert predicted.levels == (0.5, 0.9)
    assert predicted.peak(0.9) == predicted.quantile(0.9).max() > predicted.peak(0.9, within_seconds=HALF_HOUR)
    with pytest.raises(ValueError, match=r"quantile 0\.95 was not forecast: one of 0\.5, 0\.9"):
        predicted.quantile(0.95)
    with pytest.raises(ValueError, match="between 0 and 1"):
        forecast(history_of(daily(3, noise=0.1)), quantiles=(1.0,))


def test_rebinning_keeps_the_mean_and_aligns_to_the_clock() -> None:
    history = History(name="x", start_seconds=MONDAY + 1200, bin_seconds=600, rates=np.arange(1.0, 9.0))
    hourly = history.rebinned(3600)
    assert hourly.start_seconds == MONDAY
    np.testing.assert_allclose(hourly.rates, [2.5, 6.5])
    with pytest.raises(ValueError, match="not a multiple"):
        history.rebinned(900)
