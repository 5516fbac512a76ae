"""The table of options for one model: what is asked, what was found, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalogue import Precision
from planner.memory_engine import CURRENT_ENGINE
from planner.throughput import Certainty

__all__ = ["Candidate", "Choice", "Constraints", "Rejected", "option_name"]


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """What the user fixes or forbids.

    Attributes:
        context_tokens: longest prompt plus answer; the model's own limit by default.
        quality_steps: weight precisions below the published one that are allowed, e.g. ``("fp8", "int4")``; none by
            default, because they cost answers' quality.
        fp8_cache: the KV cache may be kept in fp8, which also costs quality.
        max_gpus: of one replica.
        max_nodes: that one replica may span; more than one is only looked at where no node holds the model. 1 by
            default: a replica is deployed as one pod.
        instance_types: the only ones allowed; every supported one of the catalogue by default.
        cpus: also look at CPU machines with llama.cpp. Off by default: it needs the model as a GGUF file.
        min_memory_gib: main memory that the server's pod needs beside what it loads.
        engine_version: vLLM release.
    """

    context_tokens: int | None = None
    quality_steps: tuple[Precision, ...] = ()
    fp8_cache: bool = False
    max_gpus: int | None = None
    max_nodes: int = 1
    instance_types: tuple[str, ...] | None = None
    cpus: bool = False
    min_memory_gib: float = 6.0
    engine_version: str = CURRENT_ENGINE


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One configuration of a replica on one instance type, and what it sustains.

    Attributes:
        instance_type: of every node of the replica.
        engine: ``vllm`` on GPUs, ``llama.cpp`` on CPUs.
        gpu: kind of GPU; empty on CPUs.
        gpus: of the replica, over all stages.
        nodes: that one replica spans; more than one only where ``Constraints.max_nodes`` allows it.
        tensor_parallel: GPUs per stage.
        pipeline_parallel: stages.
        precision: of the weights.
        kv_bytes: per cached number (1: fp8).
        context_tokens: longest sequence.
        batched_tokens: tokens per step.
        sequence_limit: sequences per step.
        kv_tokens: tokens that the KV cache holds.
        max_sequences: sequences of the longest length at once.
        weights_gib: per GPU.
        requests_per_second: that one replica sustains within the promises, of the workload's mix.
        bucket_requests_per_second: of each bucket alone, in the workload's order.
        ttft_ms: at that rate, for nine of ten requests.
        tpot_ms: at that rate.
        binding: what keeps it from a higher rate.
        usd_per_hour: the replica's share of its nodes by GPUs (a CPU machine whole); ``None`` when not known.
        certainty: whether this kind of model was measured on this GPU.
    """

    instance_type: str
    engine: str
    gpu: str
    gpus: int
    nodes: int
    tensor_parallel: int
    pipeline_parallel: int
    precision: Precision
    kv_bytes: float
    context_tokens: int
    batched_tokens: int
    sequence_limit: int
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
        return option_name(
            self.instance_type, self.precision, self.tensor_parallel, self.pipeline_parallel, self.kv_bytes
        )


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


def option_name(instance: str, precision: Precision, tensor: int, pipeline: int, kv_bytes: float) -> str:
    """How an option is called in tables and messages."""
    stages = f" pp{pipeline}" if pipeline > 1 else ""
    return f"{instance} {precision} tp{tensor}{stages}{' fp8-cache' if kv_bytes < 2 else ''}"
