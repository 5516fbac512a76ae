"""The demand benchmarks on a small history: what they print last, and that a bad file is one clear fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import autoscaling, forecast


def history(folder: Path, *, days: int) -> Path:
    """Two services in half-hour bins, one of them with a gap of zeros on the last day."""
    rng = np.random.default_rng(0)
    wave = 50 + 30 * np.sin(2 * np.pi * np.arange(days * 48) / 48)
    lines = ["service,t_seconds,req_per_s,active_clients"]
    for name, scale in (("large", 1.0), ("small", 0.1)):
        rates = scale * wave * rng.gamma(100, 0.01, wave.size)
        if name == "large":
            rates[-42:-37] = 0
        lines += [f"{name},{1800 * index},{rate:.5f},3" for index, rate in enumerate(rates)]
    path = folder / "rates.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def last_line(captured: str) -> dict:
    return json.loads(captured.strip().splitlines()[-1])


def test_forecast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = forecast.main([str(history(tmp_path, days=4))])
    summary = last_line(capsys.readouterr().out)
    assert code == (0 if summary["reached"] else 1)
    assert [(row["service"], row["horizon_seconds"]) for row in summary["rows"]] == [
        (name, seconds) for name in ("large", "small") for seconds in (1800, 3600, 86_400)
    ]
    for row in summary["rows"]:
        assert row["bins"] == (139 if row["service"] == "large" else 144)
        assert 0 < row["wape_ours"] < 0.5 and 0.7 <= row["coverage_90"] <= 1
        best = min(row["wape_naive"], row["wape_seasonal_day"], row["wape_seasonal_week"])
        assert row["over_best_baseline"] == pytest.approx(row["wape_ours"] / best, rel=1e-3)


def test_autoscaling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = autoscaling.main([str(history(tmp_path, days=2)), "--replicas-at-peak", "10"])
    summary = last_line(capsys.readouterr().out)
    assert code == (0 if summary["reached"] else 1)
    for row in summary["services"]:
        oracle_hours, oracle_minutes = row["oracle"]
        peak_hours, peak_minutes = row["peak"]
        assert oracle_minutes == peak_minutes == 0
        assert oracle_hours <= row["gpu_hours_ours"] + row["violation_minutes_ours"] and oracle_hours < peak_hours
        assert row["hpa_by_target"]["0.7"] == [row["gpu_hours_hpa"], row["violation_minutes_hpa"]]
    total = sum(row["gpu_hours_ours"] for row in summary["services"])
    assert summary["gpu_hours_ours"] == pytest.approx(total, abs=0.1)


@pytest.mark.parametrize("benchmark", [forecast, autoscaling])
def test_a_missing_file_is_one_fault(benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main([str(tmp_path / "absent.csv")]) == 1
    assert "there is no such file" in capsys.readouterr().err
