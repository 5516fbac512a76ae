"""Forecast error against the simple baselines, by rolling origin over the last three days of a rate history.

``python3 -m benchmarks.forecast CSV`` (columns: service, t_seconds, req_per_s). For every bin of the last three days
and every horizon, what `planner.demand` would have said that long before, from what was known then, is compared with
what came. Zero bins are masked. The bar, one hour ahead: at most 0.95 of the best baseline's error on most services,
and on none above 1.02.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks._rows import read_services
from planner.demand.backtest import Backtest
from planner.demand.experts import BASELINES
from planner.demand.history import History
from planner.faults import LlmosError

HORIZONS_SECONDS = (600, 3600, 86_400)
SCORED_DAYS = 3
BAR_HORIZON_SECONDS = 3600
BAR_MOST = 0.95
BAR_NEVER = 1.02
_RIGHT = 1e-9


def score(history: History) -> list[dict[str, float | int | str]]:
    """One row per horizon with an outcome: weighted absolute percentage errors and coverage of the 90 % quantile."""
    masked = replace(history, rates=np.where(history.rates == 0, np.nan, history.rates))
    if not masked.known.any():
        return []
    horizons = np.array(sorted({max(1, seconds // masked.bin_seconds) for seconds in HORIZONS_SECONDS}))
    test = Backtest(masked, horizons)
    bins = masked.rates.size
    rows: list[dict[str, float | int | str]] = []
    for index, horizon in enumerate(horizons):
        targets = np.arange(max(horizon, bins - SCORED_DAYS * masked.day_bins), bins)
        targets = targets[masked.known[targets]]
        truth = masked.rates[targets]
        if not truth.size:
            continue
        origins = targets - horizon
        bound = test.forecasts[index, origins] * test.quantile_factors(np.array([0.9]), origins, rows=[index])[0, :, 0]
        wapes = {
            name: float(np.abs(said[index, origins] - truth).sum() / truth.sum())
            for name, said in {"ours": test.forecasts, **{name: test.baseline(name) for name in BASELINES}}.items()
        }
        rows.append(
            {
                "service": history.name,
                "horizon_seconds": int(horizon) * masked.bin_seconds,
                "bins": int(targets.size),
                **{f"wape_{name}": round(value, 5) for name, value in wapes.items()},
                "over_best_baseline": _over(wapes["ours"], min(wapes[name] for name in BASELINES)),
                "coverage_90": round(float((truth <= bound).mean()), 4),
            }
        )
    return rows


def _over(ours: float, best: float) -> float:
    """Of a flat series every forecast is right, so nobody is worse than another."""
    return round(ours / best, 4) if best else 1.0 if ours < _RIGHT else ours / _RIGHT


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python3 -m benchmarks.forecast CSV", file=sys.stderr)
        return 1
    path = Path(arguments[0])
    try:
        histories, left_out = read_services(path)
    except LlmosError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    scored = {history.name: score(history) for history in histories}
    left_out |= {name: "no outcome to score in the last three days" for name, rows in scored.items() if not rows}
    for name, why in sorted(left_out.items()):
        print(f"left out: {name}: {why}")
    rows = [row for found in scored.values() for row in found]
    print(f"{'service':20} {'ahead':>7} {'ours':>7} {'naive':>7} {'day':>7} {'week':>7} {'/best':>6} {'<=q90':>6}")
    for row in rows:
        wapes = " ".join(f"{row[f'wape_{name}']:7.4f}" for name in ("ours", *BASELINES))
        print(
            f"{row['service']!s:20} {int(row['horizon_seconds']) / 3600:6.3g}h {wapes} "
            f"{row['over_best_baseline']:6.3f} {row['coverage_90']:6.3f}"
        )
    ratios = [float(row["over_best_baseline"]) for row in rows if row["horizon_seconds"] == BAR_HORIZON_SECONDS]
    below = sum(ratio <= BAR_MOST for ratio in ratios)
    print(f"one hour ahead: {below} of {len(ratios)} services at most {BAR_MOST} of the best baseline")
    reached = bool(ratios) and below > len(ratios) / 2 and max(ratios) <= BAR_NEVER
    print(json.dumps({"benchmark": "forecast", "rows": rows, "reached": reached}))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
