"""A model that the catalogue does not know, from its ``config.json`` as published on the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from planner.catalogue import ModelSpec, Precision
from planner.faults import Fault, UserFault
from planner.memory_weights import BYTES_PER_WEIGHT, GIB

__all__ = ["model_from_config", "model_from_file"]

_REQUIRED = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
_QUANTISED: dict[str, Precision] = {"fp8": "fp8", "awq": "int4", "gptq": "int4", "mxfp4": "mxfp4", "nvfp4": "nvfp4"}
_STATE_BYTES = 2


def model_from_file(path: Path, *, model_id: str, weight_gib: float | None = None) -> ModelSpec:
    """Architecture from a ``config.json`` on disk.

    Args:
        path: the file.
        model_id: ``organisation/name``, which the file does not hold.
        weight_gib: size of the weight files, where known; otherwise it is counted from the architecture.

    Raises:
        UserFault: when the file cannot be read, is no JSON object, or lacks a size.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _fault(f"cannot be read as JSON: {error}", path) from error
    if not isinstance(config, dict):
        raise _fault("is no JSON object", path)
    return model_from_config(config, model_id=model_id, weight_gib=weight_gib, where=str(path))


def model_from_config(
    config: Mapping[str, Any], *, model_id: str, weight_gib: float | None = None, where: str = "config.json"
) -> ModelSpec:
    """Architecture from the parsed file; raises UserFault naming what is missing. Vision towers are not counted."""
    text = {**config, **config["text_config"]} if isinstance(config.get("text_config"), dict) else dict(config)
    missing = [key for key in _REQUIRED if not isinstance(text.get(key), int)]
    if missing:
        raise _fault(f"lacks {', '.join(missing)}", where)
    heads, hidden = text["num_attention_heads"], text["hidden_size"]
    sizes = {
        "layers": text["num_hidden_layers"],
        "hidden": hidden,
        "intermediate": _first(text, "intermediate_size", "ffn_dim"),
        "heads": heads,
        "kv_heads": _first(text, "num_key_value_heads", "num_kv_heads") or (1 if text.get("multi_query") else heads),
        "head_dim": _first(text, "head_dim") or hidden // heads,
        "vocabulary": text["vocab_size"],
        "tied_embeddings": int(bool(text.get("tie_word_embeddings", False))),
        "max_context_tokens": _first(text, "max_position_embeddings", "max_sequence_length") or 2048,
        **_experts(text),
        **_attention(text),
    }
    precision = _precision(config, text)
    parameters, active = _parameters(text, sizes)
    counted = parameters * BYTES_PER_WEIGHT[precision] / GIB
    return ModelSpec(
        id=model_id,
        parameters_b=parameters / 1e9,
        active_b=active / 1e9,
        precision=precision,
        weight_gib=weight_gib or counted,
        source=where,
        date="",
        **sizes,
    )


def _first(text: Mapping[str, Any], *keys: str) -> int:
    return next((int(text[key]) for key in keys if isinstance(text.get(key), int)), 0)


def _experts(text: Mapping[str, Any]) -> dict[str, int]:
    experts = _first(text, "num_local_experts", "n_routed_experts", "num_experts")
    if not experts:
        return {}
    return {
        "experts": experts,
        "experts_per_token": _first(text, "num_experts_per_tok", "num_experts_per_token", "moe_topk") or 1,
        "expert_intermediate": _first(text, "moe_intermediate_size", "intermediate_size"),
        "shared_experts": _first(text, "n_shared_experts", "num_shared_experts"),
        "dense_layers": _first(text, "first_k_dense_replace"),
    }


def _attention(text: Mapping[str, Any]) -> dict[str, Any]:
    """Class of attention, from the fields that each family of models uses for it."""
    layers = text["num_hidden_layers"]
    kinds = text.get("layer_types") or text.get("layers_block_type") or []
    full = sum(1 for kind in kinds if kind in ("full_attention", "attention", "global"))
    if text.get("kv_lora_rank"):
        rope = _first(text, "qk_rope_head_dim")
        return {"attention": "mla", "full_layers": layers, "kv_lora_rank": text["kv_lora_rank"], "rope_head_dim": rope}
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return _hybrid(text, full=pattern.count("*"), recurrent=pattern.count("M"))
    if any("linear" in str(kind) or "mamba" in str(kind) for kind in kinds):
        return _hybrid(text, full=full, recurrent=len(kinds) - full)
    window = _first(text, "sliding_window", "attention_chunk_size")
    if not window or text.get("use_sliding_window") is False:
        return {"attention": "full", "full_layers": layers}
    if not kinds:
        every = _first(text, "sliding_window_pattern", "_sliding_window_pattern")
        full = layers // every if every else 0
    return {"attention": "sliding", "full_layers": full, "window_tokens": window}


def _hybrid(text: Mapping[str, Any], *, full: int, recurrent: int) -> dict[str, Any]:
    """State of one layer: heads x head width x state width, plus a short convolution (Mamba-2, gated delta net)."""
    kept = 4 if text.get("mamba_ssm_dtype", text.get("mamba_ssm_cache_dtype")) == "float32" else _STATE_BYTES
    inner, width, per_value = _recurrent_widths(text)
    kernel = _first(text, "linear_conv_kernel_dim", "conv_kernel", "mamba_d_conv") or 4
    kib = (inner * per_value * kept + width * (kernel - 1) * _STATE_BYTES) / 1024
    return {"attention": "hybrid", "full_layers": full, "state_layers": recurrent, "state_kib": kib}


def _recurrent_widths(text: Mapping[str, Any]) -> tuple[int, int, int]:
    """Values of all heads, channels of the convolution, and numbers kept per value."""
    if text.get("linear_num_value_heads"):
        key = text["linear_key_head_dim"]
        inner = text["linear_num_value_heads"] * text["linear_value_head_dim"]
        return inner, inner + 2 * text["linear_num_key_heads"] * key, key
    inner = _first(text, "mamba_num_heads") * _first(text, "mamba_head_dim")
    state = _first(text, "ssm_state_size", "mamba_d_state")
    return inner, inner + 2 * (_first(text, "n_groups", "mamba_n_groups") or 1) * state, state


def _precision(config: Mapping[str, Any], text: Mapping[str, Any]) -> Precision:
    quantised = config.get("quantization_config") or text.get("quantization_config") or {}
    words = (
        f"{quantised.get('quant_method', '')} {quantised.get('quant_algo', '')} {quantised.get('format', '')}".lower()
    )
    if any(word in words for word in ("nvfp4", "mxfp4")):
        return "nvfp4" if "nvfp4" in words else "mxfp4"
    found = next((precision for word, precision in _QUANTISED.items() if word in words), None)
    if found:
        return found
    if "compressed-tensors" in words or "float-quantized" in words:
        return "int4" if "pack-quantized" in words else "fp8"
    return "bf16"


def _parameters(text: Mapping[str, Any], sizes: Mapping[str, Any]) -> tuple[float, float]:
    """All parameters, and those that one token uses; norms and biases, below 0.1 %, are left out."""
    hidden = sizes["hidden"]
    common = sizes["vocabulary"] * hidden * (1 if sizes["tied_embeddings"] else 2)
    attending = sizes["full_layers"] if sizes["attention"] == "hybrid" else sizes["layers"]
    common += attending * _attention_parameters(text, sizes)
    if sizes["attention"] == "hybrid":
        inner, width, _ = _recurrent_widths(text)
        common += sizes["state_layers"] * hidden * (width + 2 * inner)
    mixed = _mlp_layers(text, sizes) - sizes.get("dense_layers", 0)
    if not sizes.get("experts"):
        total = common + mixed * 3 * hidden * sizes["intermediate"]
        return total, total
    expert = 3 * hidden * sizes["expert_intermediate"]
    common += sizes["dense_layers"] * 3 * hidden * sizes["intermediate"] + mixed * sizes["shared_experts"] * expert
    return common + mixed * sizes["experts"] * expert, common + mixed * sizes["experts_per_token"] * expert


def _mlp_layers(text: Mapping[str, Any], sizes: Mapping[str, Any]) -> int:
    """Every block has an MLP, except where a pattern names blocks that are one thing each."""
    pattern = text.get("hybrid_override_pattern")
    return pattern.count("-") + pattern.count("E") if isinstance(pattern, str) else sizes["layers"]


def _attention_parameters(text: Mapping[str, Any], sizes: Mapping[str, Any]) -> float:
    """Projections of one block; latent attention factors them through low ranks (DeepSeek-V2, section 2.1)."""
    hidden, heads, dim = sizes["hidden"], sizes["heads"], sizes["head_dim"]
    if sizes["attention"] != "mla":
        gate = hidden * heads * dim if text.get("attn_output_gate") else 0
        return 2 * hidden * heads * dim + 2 * hidden * sizes["kv_heads"] * dim + gate
    latent, rope = sizes["kv_lora_rank"], sizes["rope_head_dim"]
    plain, value = _first(text, "qk_nope_head_dim") or 128, _first(text, "v_head_dim") or 128
    rank = _first(text, "q_lora_rank")
    queries = rank * (hidden + heads * (plain + rope)) if rank else hidden * heads * (plain + rope)
    return queries + hidden * (latent + rope) + latent * heads * (plain + value) + heads * value * hidden


def _fault(what: str, where: Path | str) -> UserFault:
    fix = "download config.json of the model from its page on the hub, or state the sizes under `catalog.models`"
    return UserFault(Fault(what=what, where=str(where), fix=fix))
