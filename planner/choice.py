"""Every way to serve a model that is worth looking at, with what it sustains; and why the others were left out.

Nothing is decided here: the table goes to ``planner.allocation``, which knows all models, prices and quotas at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalogue import Catalogue, Gpu, InstanceType, ModelSpec, Precision
from planner.choice_rules import hardware_reason, parallelisms, precisions
from planner.memory import MemoryEstimate, Serving, estimate_memory
from planner.memory_engine import CURRENT_ENGINE
from planner.throughput import Certainty, certainty, efficiencies_of
from planner.throughput_roofline import Setup
from planner.throughput_slo import Sustained, sustained
from planner.workload import Slo, Workload

__all__ = ["Candidate", "Choice", "Constraints", "Rejected", "candidates"]


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """What the user fixes or forbids.

    Attributes:
        context_tokens: longest prompt plus answer; the model's own limit by default.
        quality_steps: weight precisions below the published one that are allowed, e.g. ``("fp8", "int4")``; none by
            default, because they cost answers' quality.
        fp8_cache: the KV cache may be kept in fp8, which also costs quality.
        max_gpus: of one replica.
        max_pipeline_parallel: stages; more than one is only looked at where no node holds the model.
        instance_types: the only ones allowed; every supported one of the catalogue by default.
        min_memory_gib: main memory that the server's pod needs beside what it loads.
        engine_version: vLLM release.
    """

    context_tokens: int | None = None
    quality_steps: tuple[Precision, ...] = ()
    fp8_cache: bool = False
    max_gpus: int | None = None
    max_pipeline_parallel: int = 1
    instance_types: tuple[str, ...] | None = None
    min_memory_gib: float = 6.0
    engine_version: str = CURRENT_ENGINE


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One configuration of a replica on one instance type, and what it sustains.

    Attributes:
        instance_type: of every node of the replica.
        gpu: kind of GPU.
        gpus: of the replica, over all stages.
        nodes: that one replica spans (its pipeline stages, when a node holds one stage).
        tensor_parallel: GPUs per stage.
        pipeline_parallel: stages.
        precision: of the weights.
        kv_bytes: per cached number (1: fp8).
        context_tokens: longest sequence.
        batched_tokens: tokens per step.
        kv_tokens: tokens that the KV cache holds.
        max_sequences: sequences of the longest length at once.
        weights_gib: per GPU.
        requests_per_second: that one replica sustains within the promises, of the workload's mix.
        bucket_requests_per_second: of each bucket alone, in the workload's order.
        ttft_ms: at that rate, for nine of ten requests.
        tpot_ms: at that rate.
        binding: what keeps it from a higher rate.
        usd_per_hour: the replica's share of its nodes by GPUs; ``None`` when the price is unknown.
        certainty: whether this kind of model was measured on this GPU.
    """

    instance_type: str
    gpu: str
    gpus: int
    nodes: int
    tensor_parallel: int
    pipeline_parallel: int
    precision: Precision
    kv_bytes: float
    context_tokens: int
    batched_tokens: int
    kv_tokens: int
    max_sequences: int
    weights_gib: float
    requests_per_second: float
    bucket_requests_per_second: tuple[float, ...]
    ttft_ms: float
    tpot_ms: float
    binding: str
    usd_per_hour: float | None
    certainty: Certainty

    @property
    def name(self) -> str:
        """E.g. ``g6.xlarge bf16 tp1``."""
        return _option(self.instance_type, self.precision, self.tensor_parallel, self.pipeline_parallel, self.kv_bytes)


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """An option that is left out: which constraint excludes it, and why in a sentence."""

    option: str
    constraint: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What can serve the model, dearest capacity last (USD per request at the promised latency), and what cannot."""

    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]


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
        gpu = catalogue.gpu_of(instance)
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
    """Every parallelism on one instance type; pipeline stages only after tensor parallelism alone did not fit."""
    good: list[Candidate] = []
    bad: list[Rejected] = []
    for tensor, pipeline in parallelisms(
        model, gpus=instance.gpus, max_gpus=constraints.max_gpus, max_pipeline=constraints.max_pipeline_parallel
    ):
        if pipeline > 1 and good:
            break
        setup = Setup(
            model=model, gpu=gpu, precision=precision, kv_bytes=kv_bytes,
            tensor_parallel=tensor, pipeline_parallel=pipeline,
        )  # fmt: skip
        key = (gpu.name, precision, kv_bytes, tensor, pipeline)
        if key not in sized:
            sized[key] = _size(setup, workload, slo, constraints)
        verdict = _verdict(setup, sized[key], slo, instance)
        (good if isinstance(verdict, Candidate) else bad).append(verdict)
    return good, bad


def _size(setup: Setup, workload: Workload, slo: Slo, constraints: Constraints) -> _Sized:
    serving = Serving(
        tensor_parallel=setup.tensor_parallel,
        pipeline_parallel=setup.pipeline_parallel,
        precision=setup.precision,
        kv_bytes=setup.kv_bytes,
        context_tokens=constraints.context_tokens,
        engine_version=constraints.engine_version,
    )
    memory = estimate_memory(setup.model, setup.gpu, serving)
    rates = sustained(setup, efficiencies_of(), workload, slo, memory=memory) if memory.fits else None
    return _Sized(memory=memory, rates=rates, certainty=certainty(setup))


def _verdict(setup: Setup, sized: _Sized, slo: Slo, instance: InstanceType) -> Candidate | Rejected:
    memory, rates = sized.memory, sized.rates
    precision = setup.precision or setup.model.precision
    option = _option(instance.name, precision, setup.tensor_parallel, setup.pipeline_parallel, setup.kv_bytes)
    if rates is None:
        return Rejected(option=option, constraint="GPU memory", reason=memory.reason)
    if rates.requests_per_second <= 0:
        limit, least = (slo.ttft_ms, rates.ttft_ms) if rates.binding == "slo.ttft_ms" else (slo.tpot_ms, rates.tpot_ms)
        reason = f"{least:.0f} ms at the lowest load, and {limit:g} ms are promised"
        return Rejected(option=option, constraint=rates.binding, reason=reason)
    gpus = setup.tensor_parallel * setup.pipeline_parallel
    price = instance.usd_per_hour
    return Candidate(
        instance_type=instance.name,
        gpu=setup.gpu.name,
        gpus=gpus,
        nodes=max(1, -(-gpus // instance.gpus)),
        tensor_parallel=setup.tensor_parallel,
        pipeline_parallel=setup.pipeline_parallel,
        precision=precision,
        kv_bytes=setup.kv_bytes,
        context_tokens=memory.context_tokens,
        batched_tokens=memory.batched_tokens,
        kv_tokens=memory.kv_tokens,
        max_sequences=memory.max_sequences,
        weights_gib=memory.weights_gib,
        requests_per_second=rates.requests_per_second,
        bucket_requests_per_second=rates.bucket_requests_per_second,
        ttft_ms=rates.ttft_ms,
        tpot_ms=rates.tpot_ms,
        binding=rates.binding,
        usd_per_hour=None if price is None else price * gpus / instance.gpus,
        certainty=sized.certainty,
    )


def _option(instance: str, precision: str, tensor: int, pipeline: int, kv_bytes: float) -> str:
    stages = f" pp{pipeline}" if pipeline > 1 else ""
    return f"{instance} {precision} tp{tensor}{stages}{' fp8-cache' if kv_bytes < 2 else ''}"


def _by_value(candidate: Candidate) -> tuple:
    """USD per request; unknown prices last, names break ties."""
    price = candidate.usd_per_hour
    per_request = float("inf") if price is None else price / candidate.requests_per_second
    return (per_request, candidate.gpus, candidate.name)
