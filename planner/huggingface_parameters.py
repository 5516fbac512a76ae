"""Parameters of a model, counted from the sizes in its ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.catalogue import Precision
from planner.memory_weights import BYTES_PER_WEIGHT, GIB

__all__ = ["Parameters", "blocks_of", "first_int", "parameters_of", "recurrent_widths"]

_UNGATED = ("bloom", "falcon", "gpt2", "gpt_bigcode", "gpt_neox", "nemotron", "nemotron_h", "opt", "phi", "starcoder2")
"""Families (``model_type``) whose MLP is two matrices, without a gate."""
_FOUR_BITS = ("int4", "mxfp4", "nvfp4")
_LETTERS = {"mamba": "M", "attention": "*", "moe": "E", "mlp": "-"}


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Numbers of weights; norms and biases, below 0.1 %, are left out.

    Attributes:
        total: all.
        active: those that one token uses.
        routed: of all routed experts.
        embedded: of embeddings and output head.
    """

    total: float
    active: float
    routed: float
    embedded: float

    def gib(self, precision: Precision) -> float:
        """Size of a checkpoint. Embeddings and head stay in half precision; of mixtures of experts published in four
        bits (gpt-oss, Kimi-K2.5, NVIDIA's NVFP4 checkpoints) only the routed experts have four."""
        lowered = self.total - self.embedded
        if precision in _FOUR_BITS and self.routed:
            lowered = self.routed
        kept = self.total - lowered
        return (lowered * BYTES_PER_WEIGHT[precision] + kept * BYTES_PER_WEIGHT["bf16"]) / GIB


def first_int(text: Mapping[str, Any], *keys: str) -> int:
    """The first of some fields that holds a whole number; 0 where none does."""
    return next((int(text[key]) for key in keys if isinstance(text.get(key), int)), 0)


def blocks_of(text: Mapping[str, Any]) -> str:
    """Blocks of a model whose blocks are one thing each (Nemotron-H), a letter per block: M recurrent, * attention, E
    mixture of experts, - MLP. Empty for the usual blocks of attention and MLP."""
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return pattern
    kinds = text.get("layers_block_type") or []
    single = "moe" in kinds or "mlp" in kinds
    return "".join(_LETTERS.get(str(kind), "?") for kind in kinds) if single else ""


def recurrent_widths(text: Mapping[str, Any]) -> tuple[int, int, int]:
    """Values of all heads, channels of the convolution, and numbers kept per value."""
    if text.get("linear_num_value_heads"):
        key = text["linear_key_head_dim"]
        inner = text["linear_num_value_heads"] * text["linear_value_head_dim"]
        return inner, inner + 2 * text["linear_num_key_heads"] * key, key
    inner = first_int(text, "mamba_num_heads", "mamba_n_heads") * first_int(text, "mamba_head_dim", "mamba_d_head")
    state = first_int(text, "ssm_state_size", "mamba_d_state")
    return inner, inner + 2 * (first_int(text, "n_groups", "mamba_n_groups") or 1) * state, state


def parameters_of(text: Mapping[str, Any], sizes: Mapping[str, Any]) -> Parameters:
    """Counts from the file and from what was read of it."""
    hidden = sizes["hidden"]
    embedded = sizes["vocabulary"] * hidden * (1 if sizes["tied_embeddings"] else 2)
    if isinstance(text.get("block_configs"), list):
        common = embedded + _stated_blocks(text, sizes)
        return Parameters(total=common, active=common, routed=0, embedded=embedded)
    blocks = blocks_of(text)
    hybrid = sizes["attention"] == "hybrid"
    attending = sizes["full_layers"] if hybrid else sizes["layers"]
    common = embedded + attending * _attention(text, sizes)
    if hybrid:
        inner, width, _ = recurrent_widths(text)
        common += sizes["state_layers"] * hidden * (width + 2 * inner)
    matrices = 2 if text.get("model_type") in _UNGATED or text.get("mlp_hidden_act") == "relu2" else 3
    mlps = blocks.count("-") + blocks.count("E") if blocks else sizes["layers"]
    if not sizes.get("experts"):
        total = common + mlps * matrices * hidden * sizes["intermediate"]
        return Parameters(total=total, active=total, routed=0, embedded=embedded)
    dense = blocks.count("-") if blocks else sizes["dense_layers"]
    mixed = mlps - dense
    # Some mixtures compute their routed experts in a narrower space, into which a token is projected and back.
    width = first_int(text, "moe_latent_size", "routed_expert_hidden_size") or hidden
    common += mixed * (2 * hidden * width if width != hidden else 0)
    common += mixed * sizes["shared_experts"] * matrices * hidden * sizes["expert_intermediate"]
    common += dense * matrices * hidden * sizes["intermediate"]
    each = mixed * matrices * width * sizes["expert_intermediate"]
    routed = sizes["experts"] * each
    return Parameters(
        total=common + routed, active=common + sizes["experts_per_token"] * each, routed=routed, embedded=embedded
    )


def _attention(text: Mapping[str, Any], sizes: Mapping[str, Any]) -> float:
    """Projections of one block; latent attention factors them through low ranks (DeepSeek-V2, section 2.1)."""
    hidden, heads, dim = sizes["hidden"], sizes["heads"], sizes["head_dim"]
    if sizes["attention"] != "mla":
        gate = hidden * heads * dim if text.get("attn_output_gate") else 0
        values = first_int(text, "v_head_dim") or dim
        return hidden * (heads + sizes["kv_heads"]) * (dim + values) + gate
    latent, rope = sizes["kv_lora_rank"], sizes["rope_head_dim"]
    plain, value = first_int(text, "qk_nope_head_dim") or 128, first_int(text, "v_head_dim") or 128
    rank = first_int(text, "q_lora_rank")
    queries = rank * (hidden + heads * (plain + rope)) if rank else hidden * heads * (plain + rope)
    return queries + hidden * (latent + rope) + latent * heads * (plain + value) + heads * value * hidden


def _stated_blocks(text: Mapping[str, Any], sizes: Mapping[str, Any]) -> float:
    """Blocks that differ from each other and say so (``block_configs`` of NVIDIA's searched architectures); the MLP's
    width is 2/3 of ``ffn_mult`` times the hidden one, rounded up to 256."""
    hidden, total = sizes["hidden"], 0.0
    for block in text["block_configs"]:
        group = block["attention"].get("n_heads_in_group")
        if group:
            total += 2 * hidden * sizes["head_dim"] * (sizes["heads"] + sizes["heads"] // group)
        times = block["ffn"].get("ffn_mult")
        if times:
            total += 3 * hidden * (-(-int(2 * times * hidden / 3) // 256) * 256)
    return total
