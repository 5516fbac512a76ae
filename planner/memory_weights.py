"""Bytes of weights: per precision, and what of them one GPU holds under tensor and pipeline parallelism."""

from __future__ import annotations

from planner.catalogue import ModelSpec, Precision

__all__ = ["BYTES_PER_WEIGHT", "GIB", "weight_gib", "weight_gib_per_gpu"]

GIB = 2**30

BYTES_PER_WEIGHT: dict[Precision, float] = {"bf16": 2.0, "fp8": 1.0, "int4": 0.52, "mxfp4": 0.531, "nvfp4": 0.5625}
"""With scales: int4 has a half-precision scale and a 4-bit zero point per 128 weights (AWQ, GPTQ), mxfp4 an 8-bit scale
per 32 (OCP Microscaling Formats 1.0), nvfp4 an 8-bit scale per 16 (NVIDIA)."""


def weight_gib(model: ModelSpec, precision: Precision | None = None) -> float:
    """GiB of all weights; as published by default.

    Quantisation covers the linear layers of the blocks; embeddings and the output head stay in half precision, as in
    the published AWQ, GPTQ, FP8 and NVFP4 checkpoints of the catalogue's models. Four-bit checkpoints of hybrid models
    also keep about half of what is not MLP (recurrent projections, vision tower): this gives 23.3 GiB for a 27B model
    that is published with 21.3 and with 24.0 GiB.
    """
    if precision is None or precision == model.precision:
        return model.weight_gib
    embeddings = _embedding_parameters(model)
    kept = embeddings
    if model.attention == "hybrid" and precision in ("int4", "mxfp4", "nvfp4"):
        kept += max(0.0, model.parameters_b * 1e9 - embeddings - _mlp_parameters(model)) / 2
    quantised = model.parameters_b * 1e9 - kept
    return (quantised * BYTES_PER_WEIGHT[precision] + kept * BYTES_PER_WEIGHT["bf16"]) / GIB


def weight_gib_per_gpu(
    model: ModelSpec, *, precision: Precision | None = None, tensor_parallel: int = 1, pipeline_parallel: int = 1
) -> float:
    """GiB on the fullest GPU.

    Megatron's split, which vLLM uses (``vllm/model_executor/layers/linear.py``): every matrix is cut by the
    tensor-parallel degree, but with fewer KV heads than ranks each rank keeps a whole head, so the projections of K and
    V are held ``ranks / kv_heads`` times; the latent projections of MLA are held by every rank. Pipeline stages share
    the blocks; the first and last stage also hold embedding and head.
    """
    total = weight_gib(model, precision)
    per_weight = BYTES_PER_WEIGHT[precision or model.precision] / GIB
    embeddings = _embedding_parameters(model) * BYTES_PER_WEIGHT["bf16"] / GIB
    whole = _kept_whole(model) * per_weight
    copies = max(1.0, tensor_parallel / model.kv_heads) if model.attention != "mla" else float(tensor_parallel)
    blocks = (total - embeddings - whole + whole * copies) / tensor_parallel
    return blocks / pipeline_parallel + embeddings / tensor_parallel


def _embedding_parameters(model: ModelSpec) -> float:
    return model.vocabulary * model.hidden * (1 if model.tied_embeddings else 2)


def _mlp_parameters(model: ModelSpec) -> float:
    """Gate, up and down projections of every block; of all experts in a mixture."""
    if not model.experts:
        return 3.0 * model.hidden * model.intermediate * model.layers
    return 3.0 * model.hidden * model.expert_intermediate * (model.experts + model.shared_experts) * model.layers


def _kept_whole(model: ModelSpec) -> float:
    """Parameters of K and V (or of the latent projection), which ranks beyond the KV heads hold again."""
    layers = model.layers if model.attention in ("full", "sliding", "mla") else model.full_layers
    if model.attention == "mla":
        return layers * model.hidden * (model.kv_lora_rank + model.rope_head_dim)
    return layers * 2 * model.hidden * model.kv_heads * model.head_dim
