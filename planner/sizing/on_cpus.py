"""What machines without a GPU would do for a model: shown beside the choice, and never chosen.

The pinned vLLM image is built for CUDA, and llama.cpp reads GGUF files, which the hub's checkpoints are not
(docs/decisions/sizing-cpus.md).
"""

from __future__ import annotations

from planner.catalogue import Catalogue
from planner.choice import Candidate, Constraints, Rejected, candidates
from planner.settings import Model
from planner.workload import Slo, Workload

__all__ = ["on_cpus"]

_WHY = "not offered, because the hub's checkpoints are no GGUF files"


def on_cpus(model: Model, workload: Workload, catalogue: Catalogue) -> str:
    """The cheapest machine without a GPU on which llama.cpp would keep the promise, or why none would."""
    spec = catalogue.models[model.source]
    names = tuple(
        kind.name
        for kind in catalogue.instances.values()
        if kind.supported and not kind.gpus and kind.usd_per_hour is not None
    )
    asked = Constraints(context_tokens=model.context_tokens, instance_types=names, cpus=True)
    promise = Slo(ttft_ms=model.slo.ttft_ms, tpot_ms=model.slo.tpot_ms)
    found = candidates(spec, workload, promise, catalogue, asked) if names else None
    if found is None:
        return "no machine without a GPU has a known price here"
    if found.candidates:
        return _would_do(min(found.candidates, key=lambda one: (one.usd_per_hour or 0.0, one.name)))
    return _none_does(found.rejected, catalogue) if found.rejected else ""


def _would_do(one: Candidate) -> str:
    return (
        f"{one.instance_type} at {one.usd_per_hour:.4f} USD/h would sustain {one.requests_per_second:.2f} requests/s "
        f"by llama.cpp ({one.certainty}); {_WHY}"
    )


def _none_does(rejected: tuple[Rejected, ...], catalogue: Catalogue) -> str:
    """By the machine that comes furthest: what fails there fails on the smaller ones."""
    largest = max(rejected, key=lambda item: _size(item.option.split(" ")[0], catalogue))
    return f"none keeps the promise: {largest.constraint} on {largest.option.split(' ')[0]}: {largest.reason}"


def _size(name: str, catalogue: Catalogue) -> tuple[float, float, str]:
    kind = catalogue.instances[name]
    return kind.vcpu, kind.memory_gib, name
