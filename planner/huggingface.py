"""A model that the catalogue does not know, from its ``config.json`` as published on the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from planner.catalogue import ModelSpec, Precision
from planner.faults import Fault, UserFault
from planner.huggingface_parameters import blocks_of, first_int, parameters_of, recurrent_widths

__all__ = ["model_from_config", "model_from_file"]

_REQUIRED = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
_QUANTISED: dict[str, Precision] = {"fp8": "fp8", "awq": "int4", "gptq": "int4", "mxfp4": "mxfp4", "nvfp4": "nvfp4"}
_STATE_BYTES = 2
_PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts")
_WIDTH = ("intermediate_size_mlp", "intermediate_size", "ffn_dim", "n_inner")
_QUANTISED_APART = "hf_quant_config.json"
"""Where NVIDIA's ModelOpt says how a checkpoint is quantised, when ``config.json`` does not."""


def model_from_file(path: Path, *, model_id: str, weight_gib: float | None = None) -> ModelSpec:
    """Architecture from a ``config.json`` on disk.

    Args:
        path: the file.
        model_id: ``organisation/name``, which the file does not hold.
        weight_gib: size of the weight files, where known; otherwise it is counted from the architecture.

    Raises:
        UserFault: when the file cannot be read, is no JSON object, or lacks a size.
    """
    config = _read(path)
    beside = path.with_name(_QUANTISED_APART)
    if "quantization_config" not in config and beside.is_file():
        config["quantization_config"] = _read(beside).get("quantization", {})
    return model_from_config(config, model_id=model_id, weight_gib=weight_gib, where=str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _fault(f"cannot be read as JSON: {error}", path) from error
    if not isinstance(found, dict):
        raise _fault("is no JSON object", path)
    return found


def model_from_config(
    config: Mapping[str, Any], *, model_id: str, weight_gib: float | None = None, where: str = "config.json"
) -> ModelSpec:
    """Architecture from the parsed file; raises UserFault naming what is missing. Vision towers are not counted."""
    text = {**config, **config["text_config"]} if isinstance(config.get("text_config"), dict) else dict(config)
    named = text.get("layer_types") or blocks_of(text)
    if not isinstance(text.get("num_hidden_layers"), int) and named:
        text["num_hidden_layers"] = len(named)
    missing = [key for key in _REQUIRED if not isinstance(text.get(key), int)]
    if missing:
        raise _fault(f"lacks {', '.join(missing)}", where)
    if text.get("compress_ratios"):
        what = f"compresses its KV cache in a way that is not modelled (model_type {text.get('model_type', 'unknown')})"
        raise _fault(what, where)
    heads, hidden, layers = text["num_attention_heads"], text["hidden_size"], text["num_hidden_layers"]
    sizes = {
        "layers": layers,
        "hidden": hidden,
        "intermediate": first_int(text, *_WIDTH) or 4 * hidden,
        "heads": heads,
        "kv_heads": _kv_heads(text),
        "head_dim": first_int(text, "head_dim", "attention_head_dim") or hidden // heads,
        "vocabulary": text["vocab_size"],
        "tied_embeddings": int(bool(text.get("tie_word_embeddings", False))),
        "max_context_tokens": first_int(text, "max_position_embeddings", "max_sequence_length", "n_positions") or 2048,
        **_experts(text, layers),
        **_attention(text, layers),
    }
    precision = _precision(config, text)
    counted = parameters_of(text, sizes)
    return ModelSpec(
        id=model_id,
        parameters_b=counted.total / 1e9,
        active_b=counted.active / 1e9,
        precision=precision,
        weight_gib=weight_gib or counted.gib(precision),
        source=where,
        date="",
        **sizes,
    )


def _kv_heads(text: Mapping[str, Any]) -> int:
    stated = first_int(text, "num_key_value_heads", "num_kv_heads")
    heads: int = text["num_attention_heads"]
    groups = [block["attention"].get("n_heads_in_group") for block in text.get("block_configs") or ()]
    grouped = [heads // group for group in groups if group]
    return stated or max(grouped, default=1 if text.get("multi_query") else heads)


def _experts(text: Mapping[str, Any], layers: int) -> dict[str, int]:
    experts = first_int(text, "num_local_experts", "n_routed_experts", "num_experts")
    if not experts:
        return {}
    width = first_int(text, "moe_intermediate_size", "intermediate_size")
    shared = first_int(text, "n_shared_experts", "num_shared_experts")
    together = first_int(text, "moe_shared_expert_intermediate_size", "shared_expert_intermediate_size")
    if together:
        shared = round(together * max(1, shared) / width)
    elif text.get("enable_moe_block"):
        # A dense MLP beside the experts of every block, which each token uses like shared ones.
        shared = round(first_int(text, "intermediate_size") / width)
    elif text.get("interleave_moe_layer_step"):
        shared = 1
    return {
        "experts": experts,
        "experts_per_token": first_int(text, *_PER_TOKEN) or 1,
        "expert_intermediate": width,
        "shared_experts": shared,
        "dense_layers": _dense_layers(text, layers),
    }


def _dense_layers(text: Mapping[str, Any], layers: int) -> int:
    """Blocks with a dense MLP, by the fields that families of models have for it."""
    every = first_int(text, "interleave_moe_layer_step", "decoder_sparse_step")
    if every > 1:
        return layers - layers // every
    frequency = text.get("moe_layer_freq")
    if isinstance(frequency, list):
        return frequency.count(0)
    dense = text.get("mlp_only_layers")
    return len(dense) if isinstance(dense, list) and dense else first_int(text, "first_k_dense_replace")


def _attention(text: Mapping[str, Any], layers: int) -> dict[str, Any]:
    """Class of attention, from the fields that each family of models uses for it."""
    kinds = text.get("layer_types") or text.get("layers_block_type") or []
    if not kinds and isinstance(text.get("hybrid_layer_pattern"), list):
        kinds = ["sliding_attention" if kind else "full_attention" for kind in text["hybrid_layer_pattern"]]
    full = sum(1 for kind in kinds if kind in ("full_attention", "attention", "global"))
    if text.get("kv_lora_rank"):
        rope = first_int(text, "qk_rope_head_dim")
        head = (first_int(text, "qk_nope_head_dim") or 128) + rope
        return {
            "attention": "mla", "full_layers": layers, "kv_lora_rank": text["kv_lora_rank"], "rope_head_dim": rope,
            "head_dim": head,
        }
    blocks = blocks_of(text)
    if blocks:
        return _hybrid(text, full=blocks.count("*"), recurrent=blocks.count("M"))
    if any("linear" in str(kind) or "mamba" in str(kind) for kind in kinds):
        return _hybrid(text, full=full, recurrent=len(kinds) - full)
    window = first_int(text, "sliding_window", "attention_chunk_size")
    if not window or text.get("use_sliding_window") is False:
        return {"attention": "full", "full_layers": layers}
    if not kinds:
        every = first_int(text, "sliding_window_pattern", "_sliding_window_pattern")
        if not every and str(text.get("model_type")).startswith("llama4"):
            # Llama 4 attends to everything where it has no rotary positions: in every fourth block by default.
            every = first_int(text, "no_rope_layer_interval") or 4
        full = layers // every if every else 0
    return {"attention": "sliding", "full_layers": full, "window_tokens": window}


def _hybrid(text: Mapping[str, Any], *, full: int, recurrent: int) -> dict[str, Any]:
    """State of one layer: heads x head width x state width, plus a short convolution (Mamba-2, gated delta net)."""
    kept = 4 if text.get("mamba_ssm_dtype", text.get("mamba_ssm_cache_dtype")) == "float32" else _STATE_BYTES
    inner, width, per_value = recurrent_widths(text)
    kernel = first_int(text, "linear_conv_kernel_dim", "conv_kernel", "mamba_d_conv") or 4
    kib = (inner * per_value * kept + width * (kernel - 1) * _STATE_BYTES) / 1024
    return {"attention": "hybrid", "full_layers": full, "state_layers": recurrent, "state_kib": kib}


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


def _fault(what: str, where: Path | str) -> UserFault:
    fix = "download config.json of the model from its page on the hub, or state the sizes under `catalog.models`"
    return UserFault(Fault(what=what, where=str(where), fix=fix))
