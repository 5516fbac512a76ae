"""Time of one step on a GPU: the roofline, with the share of each peak that engines reach in practice.

A step reads every weight it needs once and the KV cache of every sequence in it, and computes 2 operations per active
weight and token (Williams et al., Roofline, CACM 52(4), 2009; Pope et al., Efficiently Scaling Transformer Inference,
arXiv 2211.05102, sections 2 and 3). Tensor parallelism adds two all-reduces per layer (Megatron-LM, arXiv 1909.08053).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.catalogue import Gpu, ModelSpec, Precision
from planner.memory_kv import kv_bytes_per_token
from planner.memory_weights import BYTES_PER_WEIGHT, GIB, weight_gib

__all__ = ["Efficiencies", "Number", "Setup", "decode_ms", "prefill_ms"]

Number = float | np.ndarray
"""One value, or an array of them: every formula here works element by element."""

_HALF = 2.0
_PCIE_SHARE = 0.5
_PCIE_LATENCY_US = 25.0
"""Without NVLink, messages are staged in main memory: they cross the bus twice and wait for the host. An assumption
(usual NCCL figures); no measured row has such GPUs."""


@dataclass(frozen=True, kw_only=True)
class Efficiencies:
    """What an engine reaches of the hardware's peaks, and its fixed costs; ``planner/data/efficiencies.toml``.

    Attributes:
        memory: share of the memory bandwidth while reading weights.
        cache: the same while reading the KV cache.
        expert_memory: the same for the weights of experts, which are read in small pieces.
        half: share of the half-precision peak in large matrix products.
        fp8: share of the fp8 peak.
        fp4: share of the fp4 peak.
        expert_compute: factor on these for the small products of experts.
        layer_us: launch and synchronisation per layer.
        expert_layer_us: further time per layer for routing tokens to experts.
        all_reduce_us: latency of one all-reduce.
        step_us: scheduling and sampling per step.
        sequence_us: the same per sequence of a step.
        prefill_step_ms: fixed cost before a first token appears (tokenising, scheduling, HTTP).
        interference: share of other requests' prefill time that running sequences feel.
        queueing: share of the other sequences' prefill time that a new request waits for.
    """

    memory: float
    cache: float
    expert_memory: float
    half: float
    fp8: float
    fp4: float
    expert_compute: float
    layer_us: float
    expert_layer_us: float
    all_reduce_us: float
    step_us: float
    sequence_us: float
    prefill_step_ms: float
    interference: float
    queueing: float


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One replica.

    Attributes:
        model: what is served.
        gpu: on which GPUs.
        precision: of the weights; as published by default.
        kv_bytes: per cached number.
        tensor_parallel: GPUs that share one attention layer.
        data_parallel: groups of such GPUs that each hold other sequences (experts are shared by all of them).
        expert_parallel: GPUs that share the experts; ``tensor_parallel x data_parallel`` by default.
        pipeline_parallel: stages.
    """

    model: ModelSpec
    gpu: Gpu
    precision: Precision | None = None
    kv_bytes: float = 2.0
    tensor_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 0
    pipeline_parallel: int = 1

    @property
    def expert_ranks(self) -> int:
        """GPUs among which the experts are divided."""
        return self.expert_parallel or self.tensor_parallel * self.data_parallel


def decode_ms(setup: Setup, efficiencies: Efficiencies, *, sequences: Number, context_tokens: Number) -> Number:
    """One token for each of that many sequences (per data-parallel group) of that length."""
    reading = _reading_ms(setup, efficiencies, tokens=sequences) + _cache_ms(
        setup, efficiencies, sequences=sequences, context_tokens=context_tokens
    )
    computing = _computing_ms(setup, efficiencies, tokens=sequences)
    fixed = (efficiencies.step_us + efficiencies.sequence_us * sequences) / 1e3
    between = _layers_ms(setup, efficiencies, tokens=sequences) + _stages_ms(setup, tokens=sequences)
    return np.maximum(reading, computing) + between + fixed


def prefill_ms(setup: Setup, efficiencies: Efficiencies, *, tokens: Number) -> Number:
    """One prompt of that many tokens alone."""
    reading = _reading_ms(setup, efficiencies, tokens=tokens)
    computing = _computing_ms(setup, efficiencies, tokens=tokens) + _attention_ms(setup, efficiencies, tokens=tokens)
    between = _layers_ms(setup, efficiencies, tokens=tokens) + _stages_ms(setup, tokens=tokens)
    return np.maximum(reading, computing) + between


def _reading_ms(setup: Setup, efficiencies: Efficiencies, *, tokens: Number) -> Number:
    """Dense weights once; of the experts those that at least one of the tokens is routed to."""
    expert, dense = _weight_bytes(setup)
    per_second = setup.gpu.bandwidth_gb_per_second * 1e9
    milliseconds = dense / setup.tensor_parallel / (per_second * efficiencies.memory) * 1e3
    if not expert:
        return milliseconds
    model = setup.model
    # Each token picks experts_per_token of the experts; independent picks leave an expert idle with this probability.
    idle = (1 - model.experts_per_token / model.experts) ** (tokens * setup.data_parallel)
    return milliseconds + expert * (1 - idle) / setup.expert_ranks / (per_second * efficiencies.expert_memory) * 1e3


def _cache_ms(setup: Setup, efficiencies: Efficiencies, *, sequences: Number, context_tokens: Number) -> Number:
    model = setup.model
    token = kv_bytes_per_token(model, kv_bytes=setup.kv_bytes, tensor_parallel=setup.tensor_parallel)
    held = model.full_layers * context_tokens
    if model.attention == "sliding":
        held += (model.layers - model.full_layers) * np.minimum(context_tokens, model.window_tokens)
    # A recurrent state is read and written in every step.
    state = 2 * model.state_layers * model.state_kib * 1024 / setup.tensor_parallel
    per_second = setup.gpu.bandwidth_gb_per_second * 1e9 * efficiencies.cache
    return sequences * (token * held + state) / per_second * 1e3


def _computing_ms(setup: Setup, efficiencies: Efficiencies, *, tokens: Number) -> Number:
    model, peak = setup.model, _peak(setup, efficiencies)
    expert = _active_expert_parameters(model)
    dense = max(0.0, model.active_b * 1e9 - expert)
    operations = 2 * dense * tokens / setup.tensor_parallel
    operations += 2 * expert * tokens * setup.data_parallel / setup.expert_ranks / efficiencies.expert_compute
    return operations / peak * 1e3


def _attention_ms(setup: Setup, efficiencies: Efficiencies, *, tokens: Number) -> Number:
    """Causal attention among the tokens of one prompt: 4 operations per pair, head and dimension, half of the pairs."""
    model = setup.model
    pairs = model.full_layers * tokens**2 / 2
    if model.attention == "sliding":
        pairs += (model.layers - model.full_layers) * tokens * np.minimum(tokens / 2, model.window_tokens)
    operations = 4 * pairs * model.heads * model.head_dim / setup.tensor_parallel
    return operations / (setup.gpu.half_tflops * 1e12 * efficiencies.half) * 1e3


def _layers_ms(setup: Setup, efficiencies: Efficiencies, *, tokens: Number) -> Number:
    """Launches and, with more than one GPU, two all-reduces per layer (ring: each GPU moves 2 (n-1)/n of the data)."""
    model = setup.model
    per_layer = efficiencies.layer_us + (efficiencies.expert_layer_us if model.experts else 0.0)
    n = max(setup.tensor_parallel, setup.expert_ranks)
    if n > 1:
        moved = 2 * (n - 1) / n * tokens * model.hidden * _HALF
        nvlink, bandwidth = setup.gpu.interconnect == "nvlink", setup.gpu.interconnect_gb_per_second * 1e3
        latency = efficiencies.all_reduce_us if nvlink else _PCIE_LATENCY_US
        per_layer += 2 * (latency + moved / (bandwidth if nvlink else bandwidth * _PCIE_SHARE))
    return model.layers * per_layer / 1e3


def _stages_ms(setup: Setup, *, tokens: Number) -> Number:
    """Hidden states handed from stage to stage, once each (GPipe, arXiv 1811.06965, section 2.3)."""
    hops = setup.pipeline_parallel - 1
    if not hops:
        return 0.0
    nvlink, bandwidth = setup.gpu.interconnect == "nvlink", setup.gpu.interconnect_gb_per_second * 1e3
    moved = tokens * setup.model.hidden * _HALF
    return hops * (_PCIE_LATENCY_US + moved / (bandwidth if nvlink else bandwidth * _PCIE_SHARE)) / 1e3


def _peak(setup: Setup, efficiencies: Efficiencies) -> float:
    """Operations per second that matrix products reach; four-bit weights without fp4 cores are computed in half."""
    precision, gpu = setup.precision or setup.model.precision, setup.gpu
    if precision in ("nvfp4", "mxfp4") and gpu.fp4_tflops:
        return gpu.fp4_tflops * 1e12 * efficiencies.fp4
    if precision == "fp8" and gpu.fp8_tflops:
        return gpu.fp8_tflops * 1e12 * efficiencies.fp8
    return gpu.half_tflops * 1e12 * efficiencies.half


def _weight_bytes(setup: Setup) -> tuple[float, float]:
    """Bytes of all experts, and of everything else."""
    model, precision = setup.model, setup.precision or setup.model.precision
    expert = _expert_parameters(model) * BYTES_PER_WEIGHT[precision] if model.experts else 0.0
    # The input embedding is a look-up of a few rows, not a matrix product.
    lookup = 0 if model.tied_embeddings else model.vocabulary * model.hidden * _HALF
    return expert, max(0.0, weight_gib(model, precision) * GIB - expert - lookup)


def _expert_parameters(model: ModelSpec) -> float:
    """Of all routed experts; at most what the model has beside its embeddings (hybrid models skip layers)."""
    routed = 3.0 * model.hidden * model.expert_intermediate * model.experts * (model.layers - model.dense_layers)
    return min(routed, model.parameters_b * 1e9 - model.vocabulary * model.hidden)


def _active_expert_parameters(model: ModelSpec) -> float:
    return _expert_parameters(model) * model.experts_per_token / model.experts if model.experts else 0.0
