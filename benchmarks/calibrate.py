"""Calibrates planner/data/efficiencies.toml: ``python3 -m benchmarks.calibrate CSV`` (a few minutes, deterministic).

Least absolute relative error of TPOT and, with half the weight, TTFT on the groups (model, system) whose hash is even
(see benchmarks.throughput); one error counts at most 150 %, so that a few broken measurements cannot bend the
constants. Run it when measurements are added; benchmarks and the planner only read the result.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from benchmarks.throughput import CONSTANTS, Measurement, predict, read_measurements
from planner.catalogue import load
from planner.throughput_roofline import Efficiencies

__all__ = ["calibrate", "main"]

_ENGINES = ("vllm", "sglang", "trtllm")
# Starting points: what kernels are known to reach. The hardware's terms are shared by the engines.
_SHARED = {
    "memory": 0.75, "cache": 0.7, "expert_memory": 0.55, "half": 0.6, "fp8": 0.5, "fp4": 0.35, "expert_compute": 0.5,
    "layer_us": 6.0, "expert_layer_us": 10.0, "all_reduce_us": 6.0,
}  # fmt: skip
_OWN = {"step_us": 1500.0, "sequence_us": 10.0, "prefill_step_ms": 40.0, "interference": 0.8, "queueing": 0.2}
# Reads reach nine tenths of a memory's peak at best; the rest is left to the fit.
_MOST = {"memory": 0.9, "cache": 0.9, "expert_memory": 0.9, "half": 0.9, "fp8": 0.9, "fp4": 0.9, "expert_compute": 1.0}
_WORST_ERROR = 1.5
_TTFT_WEIGHT = 0.5
_ROUNDS = 3

_NAMES = [*_SHARED, *(f"{engine} {name}" for engine in _ENGINES for name in _OWN)]
_START = np.log([*_SHARED.values(), *(value for _ in _ENGINES for value in _OWN.values())])


def calibrate(measurements: list[Measurement]) -> dict[str, float]:
    """Constants by name (``memory`` or ``vllm step_us``) that fit the measurements best."""
    point = _START
    for _ in range(_ROUNDS):
        options = {"maxiter": 8, "xtol": 0.005, "ftol": 1e-5}
        point = minimize(_loss, point, args=(measurements,), method="Powell", options=options).x
    return dict(zip(_NAMES, np.exp(point), strict=True))


def _loss(point: np.ndarray, measurements: list[Measurement]) -> float:
    """Logarithms are fitted, so that every constant stays positive; beyond a physical bound the loss only rises."""
    values = dict(zip(_NAMES, np.exp(point), strict=True))
    excess = sum(max(0.0, values[name] / bound - 1) for name, bound in _MOST.items())
    if excess:
        return 10 + excess
    efficiencies = {engine: efficiencies_from(values, engine) for engine in _ENGINES}
    errors = np.array([_errors(measurement, efficiencies[measurement.engine]) for measurement in measurements])
    tpot, ttft = np.minimum(errors, _WORST_ERROR).mean(axis=0)
    return float(tpot + _TTFT_WEIGHT * ttft)


def efficiencies_from(values: dict[str, float], engine: str) -> Efficiencies:
    """Shared constants and those of one engine."""
    own = {name: values[f"{engine} {name}"] for name in _OWN}
    return Efficiencies(**{name: values[name] for name in _SHARED}, **own)


def _errors(measurement: Measurement, efficiencies: Efficiencies) -> tuple[float, float]:
    said = predict(measurement, efficiencies)
    return abs(said.tpot_ms / measurement.tpot_ms - 1), abs(said.ttft_ms / measurement.ttft_ms - 1)


def _toml(values: dict[str, float], measurements: list[Measurement], path: Path) -> str:
    used = [measurement for measurement in measurements if measurement.even]
    measured = sorted({f"{m.engine} {m.setup.gpu.name} {'dense' if m.dense else 'moe'}" for m in measurements})
    lines = [
        "# Written by benchmarks.calibrate. Meaning and units: planner/throughput_roofline.py, class Efficiencies.",
        "[calibration]",
        f'file_sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"',
        'source = "ai-dynamo/aiconfigurator@095f58a, measured latencies of aggregated serving (Apache-2.0)"',
        f"rows = {len(used)}",
        f"groups = [{', '.join(repr(group) for group in sorted({m.group for m in used}))}]".replace("'", '"'),
        "# Engine, GPU and kind of model with measured rows, calibrated on or scored.",
        f"measured = [{', '.join(repr(name) for name in measured)}]".replace("'", '"'),
        "",
        "[shared]",
        *(f"{name} = {_rounded(values[name])}" for name in _SHARED),
    ]
    for engine in _ENGINES:
        lines += ["", f"[engine.{engine}]", *(f"{name} = {_rounded(values[f'{engine} {name}'])}" for name in _OWN)]
    return "\n".join(lines) + "\n"


def _rounded(value: float) -> str:
    """Four digits; what the fit drove to nothing is nothing."""
    return f"{value:.4g}" if value > 1e-4 else "0.0"


def main(argv: list[str] | None = None) -> int:
    """Write the constants."""
    parser = argparse.ArgumentParser(prog="benchmarks.calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    path = parser.parse_args(argv).csv
    measurements = read_measurements(path, catalogue=load())
    constants = calibrate([measurement for measurement in measurements if measurement.even])
    CONSTANTS.write_text(_toml(constants, measurements, path), encoding="utf-8")
    print(f"written: {CONSTANTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
