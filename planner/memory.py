"""Does a model fit on a GPU, and how much of it is left for the KV cache.

The budget is the one that vLLM makes at start-up (``Worker.determine_available_memory`` and
``GPUModelRunner.profile_run``): total memory x utilisation - weights - peak activations of a full step - memory outside
of PyTorch; what remains becomes blocks of KV cache. docs/sizing.md derives every term.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalogue import Gpu, ModelSpec, Precision
from planner.memory_engine import CURRENT_ENGINE, Engine, batch_defaults, engine_for
from planner.memory_kv import KvLayout, kv_layout
from planner.memory_weights import GIB, weight_gib_per_gpu

__all__ = ["MemoryEstimate", "Serving", "estimate_memory"]

_NON_TORCH_GIB = 0.26
"""Kernels, workspaces and cuBLAS handles of one process; printed by vLLM for 8B models on one GPU."""
_NCCL_GIB = 0.85
"""Further buffers once GPUs talk (NCCL, custom all-reduce): logs with 2 to 4 GPUs print 0.95 to 1.38 GiB in all."""
_HALF = 2


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Settings of one replica that decide its memory; ``None`` stands for the engine's default.

    Attributes:
        tensor_parallel: GPUs that share every layer.
        pipeline_parallel: stages that share the layers.
        precision: of the weights; as published by default.
        kv_bytes: per cached number; 2 in half precision, 1 with ``--kv-cache-dtype fp8``.
        context_tokens: longest sequence (``--max-model-len``); the model's own limit by default.
        batched_tokens: tokens per step (``--max-num-batched-tokens``).
        max_sequences: sequences per step (``--max-num-seqs``).
        gpu_memory_utilization: share of the GPU.
        cuda_graphs: False with ``--enforce-eager``.
        engine_version: vLLM release.
    """

    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    precision: Precision | None = None
    kv_bytes: float = 2.0
    context_tokens: int | None = None
    batched_tokens: int | None = None
    max_sequences: int | None = None
    gpu_memory_utilization: float | None = None
    cuda_graphs: bool = True
    engine_version: str = CURRENT_ENGINE


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Memory of the fullest GPU of a replica, and what it can hold.

    Attributes:
        budget_gib: what the engine may use.
        weights_gib: weights.
        activation_gib: peak of one full step.
        other_gib: outside of PyTorch, and CUDA graphs.
        kv_gib: left for the KV cache; negative when the rest alone is too much.
        kv_tokens: tokens that the cache of the replica holds, as vLLM prints them.
        context_tokens: the longest sequence asked for.
        max_sequences: sequences of that length at once, at most the engine's limit.
        fits: one sequence of that length can be served.
        reason: why it does not fit; empty when it does.
        sequence_limit: most sequences of a step, whatever their length (``--max-num-seqs``). A hybrid model gets fewer
            than the engine's default where its states would not fit: vLLM then fails at start-up (vLLM issue 49064).
        batched_tokens: most tokens of a step.
        blocks: blocks of the cache.
        layout: what a block holds.
    """

    budget_gib: float
    weights_gib: float
    activation_gib: float
    other_gib: float
    kv_gib: float
    kv_tokens: int
    context_tokens: int
    max_sequences: int
    fits: bool
    reason: str
    sequence_limit: int
    batched_tokens: int
    blocks: int
    layout: KvLayout

    def sequences_of(self, tokens: int) -> int:
        """Sequences of that many tokens that the cache holds while they are answered."""
        return self.blocks // self.layout.blocks_per_sequence(max(1, tokens), resident=True)


def estimate_memory(model: ModelSpec, gpu: Gpu, serving: Serving | None = None) -> MemoryEstimate:
    """Memory of one replica of the model on GPUs of that kind."""
    serving = serving or Serving()
    engine = engine_for(serving.engine_version)
    context = serving.context_tokens or model.max_context_tokens
    tokens, sequences = _batch(gpu, serving, engine, context)
    weights = weight_gib_per_gpu(
        model,
        precision=serving.precision,
        tensor_parallel=serving.tensor_parallel,
        pipeline_parallel=serving.pipeline_parallel,
    )
    activation = _activation_gib(model, serving, engine, tokens=tokens, sequences=min(sequences, tokens))
    ranks = serving.tensor_parallel * serving.pipeline_parallel
    other = _NON_TORCH_GIB + (_NCCL_GIB if ranks > 1 else 0.0) + (engine.graph_gib if serving.cuda_graphs else 0.0)
    utilization = serving.gpu_memory_utilization or engine.gpu_memory_utilization
    budget = gpu.memory_gib * utilization
    kv = budget - weights - activation - other
    layout = kv_layout(
        model,
        engine=engine,
        batched_tokens=tokens,
        kv_bytes=serving.kv_bytes,
        tensor_parallel=serving.tensor_parallel,
        pipeline_parallel=serving.pipeline_parallel,
    )
    blocks = max(0, int(kv * GIB / layout.block_bytes))
    if model.attention == "hybrid":
        sequences = min(sequences, max(1, blocks // layout.other_groups))
    needed = layout.blocks_per_sequence(context)
    held = blocks // needed
    return MemoryEstimate(
        budget_gib=budget,
        weights_gib=weights,
        activation_gib=activation,
        other_gib=other,
        kv_gib=kv,
        kv_tokens=_printed_tokens(layout, engine, blocks=blocks, context=context),
        context_tokens=context,
        max_sequences=min(held, sequences),
        fits=held > 0,
        reason="" if held else _reason(weights, kv, budget, needed * layout.block_bytes / GIB, context),
        sequence_limit=sequences,
        batched_tokens=tokens,
        blocks=blocks,
        layout=layout,
    )


def _printed_tokens(layout: KvLayout, engine: Engine, *, blocks: int, context: int) -> int:
    """Tokens as the engine prints them (``get_kv_cache_capacity``): with two kinds of layers, what one sequence needs
    depends on its length, so newer releases count by sequences of the longest length."""
    if not layout.other_groups or engine.prints_per_group:
        return blocks // (layout.full_groups + layout.other_groups) * layout.block_tokens
    return int(blocks / layout.blocks_per_sequence(context) * context)


def _batch(gpu: Gpu, serving: Serving, engine: Engine, context: int) -> tuple[int, int]:
    tokens, sequences = batch_defaults(gpu, engine=engine, context_tokens=context)
    return serving.batched_tokens or tokens, serving.max_sequences or sequences


def _activation_gib(model: ModelSpec, serving: Serving, engine: Engine, *, tokens: int, sequences: int) -> float:
    """Peak of the profile run: the larger of a block's forward pass and of sampling, beside the hidden states."""
    hidden = tokens * model.hidden * _HALF
    sampling = sequences * model.vocabulary * engine.logit_bytes
    return (hidden + max(_forward_bytes(model, serving.tensor_parallel, tokens), sampling)) / GIB


def _forward_bytes(model: ModelSpec, tensor_parallel: int, tokens: int) -> float:
    """Largest set of tensors alive inside one block: residual, input and output, plus the MLP's.

    A dense MLP holds the joined gate and up projection and their product (``SiluAndMul``); a mixture of experts holds
    one row per token and chosen expert (``fused_moe``: intermediate caches 1 and 3 share memory, cache 2 is beside).
    """
    dense = 3 * model.intermediate / tensor_parallel
    width = model.expert_intermediate / tensor_parallel
    experts = model.experts_per_token * (max(2 * width, model.hidden) + width) if model.experts else 0.0
    return tokens * (3 * model.hidden + max(dense, experts)) * _HALF


def _reason(weights: float, kv: float, budget: float, needed: float, context: int) -> str:
    if weights >= budget:
        return f"weights take {weights:.1f} GiB per GPU, and {budget:.1f} GiB may be used"
    return f"{max(kv, 0):.1f} GiB are left for the KV cache; one sequence of {context} tokens takes {needed:.1f} GiB"
