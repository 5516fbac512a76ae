"""How well planner.memory predicts the KV cache of real vLLM start-ups: ``python3 -m benchmarks.memory_fit CSV``.

Input: one observation per row (model, GPU, settings, what vLLM printed). Only model, GPU and settings enter the
prediction; measured weights and cache sizes in the same row do not. Scored are rows with a numeric
``utilization_value`` and digits in ``fits_or_kv_tokens``; fit or not is counted on every row that states
``outcome_at_max_model_len``. Peer: KAITO's published estimate.

What a row does not state is read as a person would read it:
- the engine: ``vLLM X.Y`` in the notes; a count of GPU blocks is how releases before 0.8 print the cache; a default
  utilisation of 0.90 is a release before 0.21; otherwise the current one;
- ``max_num_seqs N`` in the notes is a setting;
- a memory size above what CUDA reports for that GPU is its label, and the catalogue's figure is used.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks._rows import numbered_rows, positive, same_model, whole
from planner.catalogue import Catalogue, Gpu, ModelSpec, load
from planner.memory import MemoryEstimate, Serving, estimate_memory
from planner.memory_weights import weight_gib

__all__ = ["Observation", "kaito_tokens", "main", "read_observations", "score"]

MEDIAN_FULL_MAX = 0.05
FALSE_REJECTS_MAX = 1
_GIB = 2**30
_PRECISION = {"bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "mxfp4": "mxfp4", "awq": "int4", "gptq": "int4"}
_ATTENTION = {"full": "full", "hybrid": "hybrid", "sliding": "sliding", "mla": "mla"}
_NEEDED = ("model", "gpu", "params_b", "gpu_mem_gib", "num_gpus", "fits_or_kv_tokens")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One start-up: what was started, and what came out (``tokens`` None: only whether it fits is known)."""

    name: str
    model: ModelSpec
    gpu: Gpu
    serving: Serving
    attention: str
    tokens: int | None
    scored: bool
    fits: bool | None


def read_observations(path: Path, *, catalogue: Catalogue) -> list[Observation]:
    """Every row that says what was started; one without the size of its model or GPU is named and left out."""
    observations = []
    for line, row in numbered_rows(path, needed=_NEEDED):
        row = defaultdict(str, row)
        stated = all(positive(row[column]) for column in ("params_b", "gpu_mem_gib")) and whole(row["num_gpus"])
        observation = _observation(row, catalogue) if stated else None
        if observation:
            observations.append(observation)
        else:
            print(f"line {line} left out, size of model or GPU not stated: {row['model']} on {row['gpu']}")
    return observations


def _observation(row: Mapping[str, str], catalogue: Catalogue) -> Observation | None:
    model = _model(row, catalogue)
    if model is None:
        return None
    tokens = whole(row["fits_or_kv_tokens"])
    utilization = positive(row["utilization_value"])
    seqs = re.search(r"max_num_seqs (\d+)", row["notes"])
    serving = Serving(
        tensor_parallel=whole(row["num_gpus"]) or 1,
        kv_bytes=1.0 if row["kv_dtype"].startswith("fp8") else 2.0,
        context_tokens=whole(row["max_model_len"]),
        max_sequences=int(seqs.group(1)) if seqs else None,
        gpu_memory_utilization=utilization if utilization is not None and utilization <= 1 else None,
        cuda_graphs=row["enforce_eager"].lower() != "true",
        engine_version=engine_version(row),
    )
    outcome = row["outcome_at_max_model_len"]
    return Observation(
        name=row["model"],
        model=model,
        gpu=_gpu(row, catalogue),
        serving=replace(serving, precision=_precision(row, model)),
        attention=_attention(row) or model.attention,
        tokens=tokens,
        scored=tokens is not None and serving.gpu_memory_utilization is not None,
        fits=(outcome == "fits") if outcome in ("fits", "does_not_fit") else None,
    )


def engine_version(row: Mapping[str, str]) -> str:
    """Release that the row speaks of."""
    stated = re.search(r"vllm v?(\d+\.\d+(\.\d+)?)", row["notes"].lower())
    if stated:
        return stated.group(1)
    if re.search(r"\d+ (GPU )?blocks", row["notes"]):
        return "0.6"
    return "0.10" if "default(0.9" in row["gpu_memory_utilization"] else "0.21"


def _attention(row: Mapping[str, str]) -> str:
    """Class of attention as stated, e.g. ``hybrid`` for ``hybrid (16/64 full)``; empty where it is not."""
    words = row["attn_class"].lower().split()
    return words[0].split("+")[0] if words else ""


def _gpu(row: Mapping[str, str], catalogue: Catalogue) -> Gpu:
    """The catalogue's GPU with the row's memory; for a GPU that it does not know, only the memory matters."""
    words, stated = row["gpu"].lower().split(), float(row["gpu_mem_gib"])
    label = [word for word in words if not re.fullmatch(r"\d+(gb|gib)?", word) or (len(word) == 4 and word.isdigit())]
    for gpu in catalogue.gpus.values():
        if all(word in gpu.product.lower() for word in label) and abs(gpu.nominal_gib - stated) < 0.1 * stated:
            return replace(gpu, memory_gib=min(stated, gpu.memory_gib) if stated == int(stated) else stated)
    return replace(catalogue.gpus["h100"], name=row["gpu"].lower(), memory_gib=stated, nominal_gib=stated)


def _model(row: Mapping[str, str], catalogue: Catalogue) -> ModelSpec | None:
    """The catalogue's model whose name is closest; one made of the row's own columns when none has that name."""
    layers = whole(row["layers"])
    known = same_model(row["model"], catalogue, layers=layers) if layers else same_model(row["model"], catalogue)
    return known or _from_columns(row, catalogue)


def _from_columns(row: Mapping[str, str], catalogue: Catalogue) -> ModelSpec | None:
    """Architecture from the columns; width, vocabulary and experts as in the known model that is most like it."""
    parameters = positive(row["params_b"]) or 0.0
    layers, kv_heads, head_dim = (whole(row[column]) or 0 for column in ("layers", "kv_heads", "head_dim"))
    attention = _ATTENTION.get(_attention(row), "full")
    mixture = re.search(r"-a\d+(\.\d+)?b", row["model"].lower()) is not None
    if not (layers and kv_heads and head_dim):
        return None
    same = [m for m in catalogue.models.values() if m.attention == attention and bool(m.experts) == mixture]
    like = min(
        same or catalogue.models.values(), key=lambda m: (abs(m.layers - layers), abs(m.parameters_b - parameters))
    )
    hybrid = re.search(r"\((\d+)/\d+ full\)", row["attn_class"])
    full = int(hybrid.group(1)) if hybrid else round(layers * like.full_layers / like.layers)
    shape = replace(
        like,
        id=row["model"],
        parameters_b=parameters,
        layers=layers,
        full_layers=full,
        state_layers=layers - full if like.state_layers else 0,
        kv_heads=kv_heads,
        head_dim=head_dim,
        precision="bf16",
        weight_gib=parameters * 2e9 / _GIB,
    )
    precision = _precision(row, shape)
    return replace(shape, precision=precision, weight_gib=weight_gib(shape, precision))


def _precision(row: Mapping[str, str], model: ModelSpec) -> str:
    name = row["dtype"].split("-")[0]
    return "nvfp4" if name == "nvfp4" else _PRECISION.get(name, model.precision)


def kaito_tokens(observation: Observation, *, utilization: float) -> float:
    """KAITO's estimate of the tokens that fit (kaito-project/kaito@3cc8a5b, pkg/workspace/estimator/budget.go and
    max_model_len.go): weights x 1.02, and 2.3 GiB + 5 % of the weights as overhead; without its cap at the model's
    limit, and with the utilisation of the row in place of KAITO's own."""
    model, serving = observation.model, observation.serving
    weights = 1.02 * weight_gib(model, serving.precision) / serving.tensor_parallel
    free = observation.gpu.nominal_gib * utilization - weights - (2.3 + 0.05 * weights)
    per_token = 2 * model.full_layers * model.kv_heads * model.head_dim * serving.kv_bytes / serving.tensor_parallel
    return max(0.0, free * _GIB / per_token)


def score(observations: list[Observation]) -> dict[str, float | int | None]:
    """The figures of the last line; errors as fractions of the observed tokens."""
    estimates = [estimate_memory(o.model, o.gpu, o.serving) for o in observations]
    ours, full, kaito = [], [], []
    for observation, estimate in zip(observations, estimates, strict=True):
        _print(observation, estimate)
        if not observation.scored:
            continue
        error = abs(estimate.kv_tokens - observation.tokens) / observation.tokens
        ours.append(error)
        full += [error] if observation.attention == "full" else []
        utilization = observation.serving.gpu_memory_utilization
        kaito.append(abs(kaito_tokens(observation, utilization=utilization) - observation.tokens) / observation.tokens)
    verdicts = [(o.fits, e.fits) for o, e in zip(observations, estimates, strict=True) if o.fits is not None]
    return {
        "rows": len(ours),
        "median_ape": _median(ours),
        "median_ape_full_attention": _median(full),
        "p90_ape": round(float(np.quantile(ours, 0.9)), 4) if ours else None,
        "false_fits": sum(1 for observed, said in verdicts if said and not observed),
        "false_rejects": sum(1 for observed, said in verdicts if observed and not said),
        "kaito_median_ape": _median(kaito),
    }


def _median(errors: list[float]) -> float | None:
    """``None`` where no row was scored."""
    return round(statistics.median(errors), 4) if errors else None


def _print(observation: Observation, estimate: MemoryEstimate) -> None:
    observed = observation.tokens if observation.tokens else {True: "fits", False: "does not fit"}.get(observation.fits)
    error = f"{estimate.kv_tokens / observation.tokens - 1:+.1%}" if observation.scored else ""
    said = f"{estimate.kv_tokens:>9,}" if estimate.fits else f"{estimate.kv_tokens:>9,} too few"
    gpus = f"{observation.serving.tensor_parallel} x {observation.gpu.name}"
    print(f"{observation.name[:38]:38} {gpus:22} observed {observed!s:>12} estimated {said} {error}")


def main(argv: list[str] | None = None) -> int:
    """Print the figures; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.memory_fit", description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    figures = score(read_observations(parser.parse_args(argv).csv, catalogue=load()))
    print(json.dumps(figures))
    full = figures["median_ape_full_attention"]
    good = (
        full is not None
        and full <= MEDIAN_FULL_MAX
        and not figures["false_fits"]
        and figures["false_rejects"] <= FALSE_REJECTS_MAX
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
