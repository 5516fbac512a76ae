"""Replays a rate history against scalers: GPU-hours and minutes in which requests waited too long.

``python3 -m benchmarks.autoscaling CSV`` (columns: service, t_seconds, req_per_s). Replicas take 5 minutes to start.
The first half of each history is what our planner may look at; every scaler is replayed on the second half:

- hpa: the horizontal pod autoscaler on utilisation, with its defaults, at a target of 70 % (others are listed);
- ours: a low minimum scheduled from the forecast, and the rule that did best on the first half (a KEDA trigger);
- peak: enough for the highest rate of the second half, always; oracle: knows the future, never queues.

The bar: at most 0.85 of the HPA's GPU-hours at no more violation minutes, over all services.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._rows import read_services
from planner.demand import forecast, minimum_replicas
from planner.demand.history import History
from planner.demand.replay import Load, Scaler, replay
from planner.demand.rule import RateRule
from planner.demand.scalers import RateScaler, SideBySide, UtilisationScaler, all_knowing, fixed
from planner.demand.tuning import REFERENCE_UTILISATION, choose_rule
from planner.demand.weighed import WeighedScaler
from planner.faults import Fault, LlmosError, UserFault

TARGETS = (0.5, 0.6, REFERENCE_UTILISATION, 0.8)
BAR = 0.85
COLD_START_SECONDS = 300
# What almost certainly is needed: the rule answers for the rest. Where the forecast is sure, this is nearly all of it.
FLOOR_QUANTILE = 0.01


def outcomes_of(load: Load, scalers: Sequence[Scaler]) -> list[tuple[float, int]]:
    """GPU-hours and violation minutes per setting of every scaler."""
    outcome = replay(load, SideBySide(scalers))
    return [
        (round(float(hours), 1), int(minutes))
        for hours, minutes in zip(outcome.gpu_hours, outcome.violation_minutes, strict=True)
    ]


def score(history: History, replicas_at_peak: int) -> dict[str, Any]:
    """One service: chosen rule and every scaler's outcome on the second half."""
    # Only the phase of the week matters here, and every scaler sees the same.
    masked = replace(history, rates=np.where(history.rates == 0, np.nan, history.rates), anchored=True)
    half = masked.rates.size // 2
    if not (masked.known[:half].any() and masked.known[half:].any()):
        raise UserFault(Fault(what="one half of it has no request", where=history.name, fix="give a longer history"))
    past = replace(masked, rates=masked.rates[:half])
    future = replace(masked, rates=masked.rates[half:], start_seconds=masked.start_seconds + half * masked.bin_seconds)
    capacity = float(np.nanmax(masked.rates)) / replicas_at_peak
    load = Load.of(future, capacity, cold_start_seconds=COLD_START_SECONDS)
    schedule = minimum_replicas(forecast(past, quantiles=[FLOOR_QUANTILE]), capacity, FLOOR_QUANTILE)
    minimum = schedule.at(future.start_seconds + np.arange(load.rates.size) * load.step_seconds)
    rule = choose_rule(past, capacity, cold_start_seconds=COLD_START_SECONDS)
    scaler: Scaler = RateScaler(load, [rule], minimum=minimum) if isinstance(rule, RateRule) else (
        WeighedScaler(load, [rule], minimum=minimum)
    )
    scalers: list[Scaler] = [scaler, fixed(load), all_knowing(load)]
    ours, peak, oracle, *rest = outcomes_of(load, [*scalers, UtilisationScaler(load, np.array(TARGETS))])
    by_target = dict(zip(TARGETS, rest, strict=True))
    hpa = by_target[REFERENCE_UTILISATION]
    return {
        "service": history.name,
        "gpu_hours_ours": ours[0],
        "violation_minutes_ours": ours[1],
        "gpu_hours_hpa": hpa[0],
        "violation_minutes_hpa": hpa[1],
        "over_hpa": round(ours[0] / hpa[0], 4),
        "peak": peak,
        "oracle": oracle,
        "hpa_by_target": {f"{target:g}": result for target, result in by_target.items()},
        "rule": asdict(rule),
    }


def describe(row: dict[str, Any]) -> str:
    """One service as lines to read."""
    lines = [f"{row['service']}: {row['rule']}", f"  {'scaler':14} {'GPU-hours':>10} {'violation minutes':>18}"]
    outcomes = {
        "ours": (row["gpu_hours_ours"], row["violation_minutes_ours"]),
        **{f"hpa at {target}": outcome for target, outcome in row["hpa_by_target"].items()},
        "peak": row["peak"],
        "oracle": row["oracle"],
    }
    lines += [f"  {name:14} {hours:10.1f} {minutes:18d}" for name, (hours, minutes) in outcomes.items()]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.autoscaling", description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--replicas-at-peak", type=int, default=20, help="replicas that the highest rate needs (20)")
    options = parser.parse_args(arguments)
    try:
        histories, left_out = read_services(options.csv)
    except LlmosError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    rows = []
    for history in histories:
        try:
            rows.append(score(history, options.replicas_at_peak))
        except LlmosError as error:
            left_out[history.name] = error.faults[0].what
    for name, why in sorted(left_out.items()):
        print(f"left out: {name}: {why}")
    for row in rows:
        print(describe(row))
    totals = {
        key: round(sum(row[key] for row in rows), 1)
        for key in ("gpu_hours_ours", "gpu_hours_hpa", "violation_minutes_ours", "violation_minutes_hpa")
    }
    ratio = totals["gpu_hours_ours"] / totals["gpu_hours_hpa"] if rows else math.inf
    reached = ratio <= BAR and totals["violation_minutes_ours"] <= totals["violation_minutes_hpa"]
    print(
        f"all services: {ratio:.3f} of the GPU-hours of the HPA at {REFERENCE_UTILISATION:.0%}, "
        f"{totals['violation_minutes_ours']} violation minutes against {totals['violation_minutes_hpa']}"
    )
    over = round(ratio, 4) if rows else None
    summary = {"benchmark": "autoscaling", **totals, "over_hpa": over, "reached": reached}
    print(json.dumps({**summary, "services": rows}))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
