"""How well planner.throughput predicts measured latencies: ``python3 -m benchmarks.throughput CSV``.

Input: measured TTFT and TPOT per row (model, GPU system, engine, parallelism, prompt and answer length, users in
flight). The constants are shipped in planner/data/efficiencies.toml and never refitted here. They were calibrated by
``benchmarks.calibrate`` on the groups (model, system) whose hash is even:

    int(sha256(f"{model_path}/{system}".encode("utf-8")).hexdigest(), 16) % 2 == 0

Given the file that they were calibrated on (its SHA-256 is kept beside them), only the odd groups are scored; given
any other file, every row is. Errors are |predicted - measured| / measured, averaged; dense and mixture-of-experts
models apart.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks._rows import numbered_rows, positive, same_model
from planner.catalogue import Catalogue, load
from planner.memory import Serving, estimate_memory
from planner.throughput import Latency, closed_loop, efficiencies_of
from planner.throughput_roofline import Efficiencies, Setup

__all__ = ["CONSTANTS", "Measurement", "main", "predict", "read_measurements"]

CONSTANTS = Path(__file__).parent.parent / "planner" / "data" / "efficiencies.toml"
TPOT_DENSE_MAX, TPOT_MOE_MAX, TTFT_DENSE_MAX = 0.16, 0.25, 0.40
_SYSTEM = {"a100_sxm": "a100-80gb", "rtx_pro_6000_server": "rtx-pro-6000"}
_ENGINES = ("vllm", "sglang", "trtllm")
_NUMBERS = ("isl", "osl", "batch_size", "silicon_ttft_ms", "silicon_tpot_ms")
_NEEDED = ("backend", "model_path", "system", *_NUMBERS)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row: a replica, its load, and the latency that was measured."""

    group: str
    engine: str
    setup: Setup
    users: float
    input_tokens: int
    output_tokens: int
    capacity: float
    ttft_ms: float
    tpot_ms: float

    @property
    def even(self) -> bool:
        """The group's hash is even: it may be calibrated on."""
        return int(hashlib.sha256(self.group.encode("utf-8")).hexdigest(), 16) % 2 == 0

    @property
    def dense(self) -> bool:
        """No mixture of experts."""
        return not self.setup.model.experts


def read_measurements(path: Path, *, catalogue: Catalogue) -> list[Measurement]:
    """Every row whose model and GPU the catalogue knows; the others are named and left out."""
    measurements, left_out = [], Counter()
    for _, row in numbered_rows(path, needed=_NEEDED):
        row = defaultdict(str, row)
        # Base and instruction-tuned weights of a model are equally fast.
        model, gpu = same_model(row["model_path"], catalogue), _gpu_name(row["system"])
        odd = [column for column in _NUMBERS if positive(row[column]) is None]
        if model is None or gpu not in catalogue.gpus:
            left_out[f"not in the catalogue: {row['model_path']} on {row['system']}"] += 1
        elif row["backend"] not in _ENGINES:
            left_out[f"engine without constants: {row['backend']}"] += 1
        elif odd:
            left_out[f"no number above 0: {', '.join(odd)}"] += 1
        else:
            measurements.append(_measurement(row, catalogue, model=model.id, gpu=gpu))
    for reason, count in sorted(left_out.items()):
        print(f"{count} rows left out, {reason}")
    return measurements


def _gpu_name(system: str) -> str:
    return _SYSTEM.get(system, system.removesuffix("_sxm").replace("_", "-"))


def _measurement(row: Mapping[str, str], catalogue: Catalogue, *, model: str, gpu: str) -> Measurement:
    setup = _setup(row, catalogue, model=model, gpu=gpu)
    input_tokens, output_tokens = (max(1, round(float(row[column]))) for column in ("isl", "osl"))
    return Measurement(
        group=f"{row['model_path']}/{row['system']}",
        engine=row["backend"],
        setup=setup,
        users=float(row["batch_size"]),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        capacity=_capacity(setup, row["backend"], input_tokens=input_tokens, output_tokens=output_tokens),
        ttft_ms=float(row["silicon_ttft_ms"]),
        tpot_ms=float(row["silicon_tpot_ms"]),
    )


def _setup(row: Mapping[str, str], catalogue: Catalogue, *, model: str, gpu: str) -> Setup:
    """GPUs that share the experts but not one attention layer each serve users of their own (data parallel)."""
    spec, quantised = catalogue.models[model], row["gemm_quant_mode"]
    precision = "fp8" if "fp8" in quantised else "nvfp4" if "fp4" in quantised else "bf16"
    tensor = _count(row["tp_size"])
    ranks = max(tensor, _count(row["moe_tp_size"]) * _count(row["moe_ep_size"])) if spec.experts else tensor
    return Setup(
        model=spec,
        gpu=catalogue.gpus[gpu],
        precision=spec.precision if spec.experts else precision,
        # NVIDIA's fp8 and nvfp4 checkpoints of dense models come with an fp8 KV cache, and both engines follow them.
        kv_bytes=1.0 if quantised in ("fp8", "nvfp4") and not spec.experts else 2.0,
        tensor_parallel=tensor,
        data_parallel=max(1, ranks // tensor),
        expert_parallel=ranks,
    )


def _count(text: str) -> int:
    return max(1, round(positive(text) or 1))


def _capacity(setup: Setup, engine: str, *, input_tokens: int, output_tokens: int) -> float:
    """Sequences that the cache holds: TensorRT-LLM by default reserves the whole answer (GUARANTEED_NO_EVICT), the
    others admit a request when its prompt fits, so that running answers are half done on average."""
    serving = Serving(
        tensor_parallel=setup.expert_ranks,
        precision=setup.precision,
        kv_bytes=setup.kv_bytes,
        context_tokens=input_tokens + output_tokens,
        engine_version="0.12",
    )
    held = output_tokens if engine == "trtllm" else output_tokens // 2
    return max(1, estimate_memory(setup.model, setup.gpu, serving).sequences_of(input_tokens + held))


def predict(measurement: Measurement, efficiencies: Efficiencies) -> Latency:
    """What planner.throughput says about the row."""
    return closed_loop(
        measurement.setup,
        efficiencies,
        users=measurement.users,
        input_tokens=measurement.input_tokens,
        output_tokens=measurement.output_tokens,
        capacity=measurement.capacity,
    )


def _scored(measurements: list[Measurement], path: Path) -> list[Measurement]:
    known = tomllib.loads(CONSTANTS.read_text(encoding="utf-8"))["calibration"]["file_sha256"]
    if hashlib.sha256(path.read_bytes()).hexdigest() != known:
        print("not the file that the constants were calibrated on: every row is scored")
        return measurements
    return [measurement for measurement in measurements if not measurement.even]


def _print_groups(rows: list[tuple[Measurement, float, float]]) -> None:
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for measurement, ttft, tpot in rows:
        groups[f"{measurement.group} {measurement.engine}"].append((ttft, tpot))
    for name, errors in sorted(groups.items()):
        ttft, tpot = np.mean(errors, axis=0)
        print(f"{name:50} {len(errors):4} rows   TPOT error {tpot:6.1%}   TTFT error {ttft:6.1%}")


def _mean(errors: list[float]) -> float | None:
    return round(float(np.mean(errors)), 4) if errors else None


def main(argv: list[str] | None = None) -> int:
    """Print the figures; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    path = parser.parse_args(argv).csv
    rows = []
    for measurement in _scored(read_measurements(path, catalogue=load()), path):
        said = predict(measurement, efficiencies_of(measurement.engine))
        ttft = abs(said.ttft_ms - measurement.ttft_ms) / measurement.ttft_ms
        rows.append((measurement, ttft, abs(said.tpot_ms - measurement.tpot_ms) / measurement.tpot_ms))
    _print_groups(rows)
    figures = {
        "tpot_mape_dense": _mean([tpot for m, _, tpot in rows if m.dense]),
        "tpot_mape_moe": _mean([tpot for m, _, tpot in rows if not m.dense]),
        "ttft_mape_dense": _mean([ttft for m, ttft, _ in rows if m.dense]),
        "rows": len(rows),
    }
    print(json.dumps(figures))
    bars = {
        "tpot_mape_dense": TPOT_DENSE_MAX,
        "tpot_mape_moe": TPOT_MOE_MAX,
        "ttft_mape_dense": TTFT_DENSE_MAX,
    }
    return 0 if rows and all(figures[key] is None or figures[key] <= bar for key, bar in bars.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
