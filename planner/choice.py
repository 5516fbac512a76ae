"""Every way to serve a model that is worth looking at, with what it sustains; and why the others were left out.

Nothing is decided here: the table goes to ``planner.allocation``, which knows all models, prices and quotas at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from planner.catalogue import Catalogue, Gpu, InstanceType, ModelSpec, Precision
from planner.choice_cpu import cpu_device, cpu_memory
from planner.choice_rules import hardware_reason, parallelisms, precisions
from planner.choice_types import Candidate, Choice, Constraints, Rejected, option_name
from planner.memory import MemoryEstimate, Serving, estimate_memory
from planner.throughput import Certainty, certainty, efficiencies_of
from planner.throughput_roofline import Setup
from planner.throughput_slo import Sustained, sustained
from planner.workload import Slo, Workload

__all__ = ["Candidate", "Choice", "Constraints", "Rejected", "candidates"]

_NODES_LOOKED_AT = 4
"""More nodes for one replica are no answer to anybody who asks why a model does not fit."""


def candidates(
    model: ModelSpec,
    workload: Workload,
    slo: Slo,
    catalogue: Catalogue,
    constraints: Constraints | None = None,
) -> Choice:
    """Table of options for one model, in a stable order; raises UserFault for an unknown instance type."""
    constraints = constraints or Constraints()
    names = constraints.instance_types or tuple(catalogue.instances)
    sized: dict[tuple, _Sized] = {}
    found: list[Candidate] = []
    rejected: list[Rejected] = []
    for name in names:
        instance = catalogue.instance(name, where="models.hardware")
        gpu = catalogue.gpu_of(instance) or (cpu_device(instance) if constraints.cpus and instance.supported else None)
        reason = hardware_reason(instance, gpu, min_memory_gib=constraints.min_memory_gib)
        if reason or gpu is None:
            rejected.append(Rejected(option=name, constraint="instance type", reason=reason))
            continue
        for precision, kv_bytes, why in precisions(model, gpu, constraints.quality_steps, constraints.fp8_cache):
            if why:
                rejected.append(Rejected(option=f"{name} {precision}", constraint="precision", reason=why))
                continue
            good, bad = _on_instance(
                model, workload, slo, constraints, instance=instance, gpu=gpu,
                precision=precision, kv_bytes=kv_bytes, sized=sized,
            )  # fmt: skip
            found += good
            rejected += bad
    return Choice(candidates=tuple(sorted(found, key=_by_value)), rejected=tuple(rejected))


@dataclass(frozen=True, kw_only=True)
class _Sized:
    """A setup, which is the same on every instance type with that GPU."""

    memory: MemoryEstimate
    rates: Sustained | None
    certainty: Certainty


def _on_instance(
    model: ModelSpec,
    workload: Workload,
    slo: Slo,
    constraints: Constraints,
    *,
    instance: InstanceType,
    gpu: Gpu,
    precision: Precision,
    kv_bytes: float,
    sized: dict[tuple, _Sized],
) -> tuple[list[Candidate], list[Rejected]]:
    """Every parallelism on one instance type; several nodes only after one did not hold the model."""
    good: list[Candidate] = []
    bad: list[Rejected] = []
    fits = False
    setup = Setup(model=model, gpu=gpu, precision=precision, kv_bytes=kv_bytes)
    gpus = max(1, instance.gpus)
    for tensor, pipeline in parallelisms(
        model, gpus=gpus, max_gpus=constraints.max_gpus, nvlink=gpu.interconnect == "nvlink",
        max_nodes=constraints.max_nodes,
    ):  # fmt: skip
        if tensor * pipeline > gpus and fits:
            break
        setup = replace(setup, tensor_parallel=tensor, pipeline_parallel=pipeline)
        key = (gpu.name, precision, kv_bytes, tensor, pipeline)
        if key not in sized:
            sized[key] = _size(setup, workload, slo, constraints)
        fits = fits or sized[key].memory.fits
        verdict = _verdict(setup, sized[key], slo, instance)
        (good if isinstance(verdict, Candidate) else bad).append(verdict)
    if not fits and instance.gpus and constraints.max_nodes == 1:
        bad += _over_nodes(setup, constraints, instance)
    return good, bad


def _over_nodes(setup: Setup, constraints: Constraints, instance: InstanceType) -> list[Rejected]:
    """The fewest nodes of that type that would hold one replica, and why it is not offered."""
    for tensor, stages in parallelisms(
        setup.model, gpus=instance.gpus, max_gpus=constraints.max_gpus, nvlink=True, max_nodes=_NODES_LOOKED_AT
    ):
        spread = replace(setup, tensor_parallel=tensor, pipeline_parallel=stages)
        if tensor * stages > instance.gpus and _memory(spread, constraints).fits:
            option = option_name(instance.name, setup.precision or setup.model.precision, tensor, stages, 2)
            reason = (
                f"one replica would span {stages} nodes; it is deployed as one pod, and a pod is on one node "
                "(docs/decisions/sizing-one-node.md)"
            )
            return [Rejected(option=option, constraint="one node", reason=reason)]
    return []


def _size(setup: Setup, workload: Workload, slo: Slo, constraints: Constraints) -> _Sized:
    engine = _engine(setup.gpu)
    memory = _memory(setup, constraints)
    rates = sustained(setup, efficiencies_of(engine), workload, slo, memory=memory) if memory.fits else None
    return _Sized(memory=memory, rates=rates, certainty=certainty(setup, framework=engine))


def _engine(device: Gpu) -> str:
    return "llama.cpp" if device.compute_capability == (0, 0) else "vllm"


def _memory(setup: Setup, constraints: Constraints) -> MemoryEstimate:
    if _engine(setup.gpu) == "llama.cpp":
        context = constraints.context_tokens or setup.model.max_context_tokens
        return cpu_memory(setup.model, setup.gpu, precision=setup.precision, context_tokens=context)
    serving = Serving(
        tensor_parallel=setup.tensor_parallel,
        pipeline_parallel=setup.pipeline_parallel,
        precision=setup.precision,
        kv_bytes=setup.kv_bytes,
        context_tokens=constraints.context_tokens,
        engine_version=constraints.engine_version,
    )
    return estimate_memory(setup.model, setup.gpu, serving)


def _verdict(setup: Setup, sized: _Sized, slo: Slo, instance: InstanceType) -> Candidate | Rejected:
    memory, rates = sized.memory, sized.rates
    precision = setup.precision or setup.model.precision
    option = option_name(instance.name, precision, setup.tensor_parallel, setup.pipeline_parallel, setup.kv_bytes)
    if rates is None:
        return Rejected(option=option, constraint="GPU memory" if instance.gpus else "memory", reason=memory.reason)
    if rates.requests_per_second <= 0:
        limit, least = (slo.ttft_ms, rates.ttft_ms) if rates.binding == "slo.ttft_ms" else (slo.tpot_ms, rates.tpot_ms)
        reason = f"{least:.0f} ms at the lowest load, and {limit:g} ms are promised"
        return Rejected(option=option, constraint=rates.binding, reason=reason)
    gpus = setup.tensor_parallel * setup.pipeline_parallel if instance.gpus else 0
    price, share = instance.usd_per_hour, gpus / instance.gpus if instance.gpus else 1.0
    return Candidate(
        instance_type=instance.name,
        engine=_engine(setup.gpu),
        gpu=instance.gpu or "",
        gpus=gpus,
        nodes=max(1, math.ceil(share)),
        tensor_parallel=setup.tensor_parallel,
        pipeline_parallel=setup.pipeline_parallel,
        precision=precision,
        kv_bytes=setup.kv_bytes,
        context_tokens=memory.context_tokens,
        batched_tokens=memory.batched_tokens,
        sequence_limit=memory.sequence_limit,
        kv_tokens=memory.kv_tokens,
        max_sequences=memory.max_sequences,
        weights_gib=memory.weights_gib,
        requests_per_second=rates.requests_per_second,
        bucket_requests_per_second=rates.bucket_requests_per_second,
        ttft_ms=rates.ttft_ms,
        tpot_ms=rates.tpot_ms,
        binding=rates.binding,
        usd_per_hour=None if price is None else price * share,
        certainty=sized.certainty,
    )


def _by_value(candidate: Candidate) -> tuple:
    """USD per request; unknown prices last, names break ties."""
    price = candidate.usd_per_hour
    per_request = float("inf") if price is None else price / candidate.requests_per_second
    return (per_request, candidate.gpus, candidate.name)
