"""The benchmark runs, its instances are what it says, and its peers agree with each other."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("pulp", reason="the benchmark's peers run under PuLP, a development requirement")

from benchmarks import allocation as benchmark


def test_last_line_is_json_with_the_promised_keys(capsys: pytest.CaptureFixture[str]) -> None:
    # The smallest shape only: the others keep CBC busy for its 15 s.
    assert benchmark.main(["--seed", "5", "--instances", "1"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {
        "instances", "cost_over_bound_p95", "worse_than_cbc", "median_seconds", "cbc_median_seconds",
        "greedy_excess_median",
    } <= set(figures)  # fmt: skip
    assert figures["instances"] == 1
    assert figures["worse_than_cbc"] == 0
    assert 1 <= figures["cost_over_bound_p95"] <= 1.02


def test_same_seed_same_instance() -> None:
    one, two = (benchmark.make_instance(np.random.default_rng(7), buckets=70, types=5, gpus=20) for _ in range(2))
    assert np.array_equal(one.rates, two.rates)
    assert np.array_equal(one.demand, two.demand)
    assert (one.rates.max(axis=0) > 0).all(), "every bucket can be served by some type"


def test_slices_never_beat_free_splitting() -> None:
    row = benchmark.measure(benchmark.make_instance(np.random.default_rng(11), buckets=12, types=3, gpus=6))
    assert row["bound"] <= row["cost"] * (1 + 1e-9)
    assert row["cost"] == pytest.approx(row["cbc"], rel=1e-6)
    assert row["cost"] == pytest.approx(row["scipy"], rel=1e-6)
    assert row["cost"] <= row["melange"] * (1 + 1e-6)
    assert row["cost"] <= row["greedy"] * (1 + 1e-6)


def test_a_missed_bar_is_exit_code_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(benchmark, "_BAR_COST_OVER_BOUND", 0.5)
    assert benchmark.main(["--seed", "5", "--instances", "1"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["instances"] == 1
