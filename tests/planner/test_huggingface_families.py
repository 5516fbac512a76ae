"""Families of models whose ``config.json`` says things in its own way; figures of the makers are in millions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.faults import UserFault
from planner.huggingface import model_from_config, model_from_file

# As published; NVIDIA's hybrids name a kind of block per letter: M recurrent, * attention, E experts, - MLP.
SUPER = {
    "model_type": "nemotron_h", "hidden_size": 4096, "num_hidden_layers": 88, "num_attention_heads": 32,
    "hybrid_override_pattern": "MEMEMEM*" + "EMEMEMEM*" * 2 + "EMEMEMEMEM*" * 4 + "EMEMEMEM*" + "EMEMEMEME",
    "head_dim": 128, "num_key_value_heads": 2, "vocab_size": 131072, "intermediate_size": 2688,
    "moe_intermediate_size": 2688,
    "moe_latent_size": 1024, "moe_shared_expert_intermediate_size": 5376, "n_shared_experts": 1, "n_groups": 8,
    "n_routed_experts": 512, "num_experts_per_tok": 22, "mamba_num_heads": 128, "mamba_head_dim": 64, "conv_kernel": 4,
    "ssm_state_size": 128, "mlp_hidden_act": "relu2", "mamba_ssm_cache_dtype": "float32",
}  # fmt: skip
DENSE_HYBRID = {
    "model_type": "nemotron_h", "hidden_size": 8192, "num_attention_heads": 64, "attention_head_dim": 128,
    "layers_block_type": ["mamba", "mlp"] * 54 + ["attention"] * 10, "num_key_value_heads": 8, "vocab_size": 131072,
    "intermediate_size": 32768, "mamba_num_heads": 256, "mamba_head_dim": 64, "n_groups": 8, "ssm_state_size": 256,
    "mlp_hidden_act": "relu2",
}  # fmt: skip
MAVERICK = {
    "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text", "hidden_size": 5120, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
        "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "num_hidden_layers": 48,
        "num_local_experts": 128, "num_experts_per_tok": 1, "interleave_moe_layer_step": 2, "vocab_size": 202048,
        "attention_chunk_size": 8192, "max_position_embeddings": 1048576,
    },
}  # fmt: skip
GEMMA_4 = {
    "tie_word_embeddings": True,
    "text_config": {
        "hidden_size": 2816, "intermediate_size": 2112, "moe_intermediate_size": 704, "num_experts": 128,
        "top_k_experts": 8, "enable_moe_block": True, "num_attention_heads": 16, "num_key_value_heads": 8,
        "head_dim": 256, "num_hidden_layers": 30, "vocab_size": 262144, "sliding_window": 1024,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 5, "tie_word_embeddings": True,
    },
}  # fmt: skip
MIMO = {
    "hidden_size": 4096, "num_hidden_layers": 48, "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 192,
    "v_head_dim": 128, "intermediate_size": 16384, "moe_intermediate_size": 2048, "vocab_size": 152576,
    "sliding_window": 128, "hybrid_layer_pattern": [0, 1, 1, 1, 1, 0] + [1, 1, 1, 1, 1, 0] * 7,
    "moe_layer_freq": [0] + [1] * 47, "n_routed_experts": 256, "num_experts_per_tok": 8,
}  # fmt: skip
QWEN2_MOE = {
    "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16,
    "intermediate_size": 5632, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632,
    "num_experts": 60, "num_experts_per_tok": 4, "decoder_sparse_step": 1, "vocab_size": 151936,
    "use_sliding_window": False, "sliding_window": 32768,
}  # fmt: skip
FALCON = {
    "model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
    "multi_query": True, "vocab_size": 65024, "tie_word_embeddings": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "millions", "active", "figures"),
    [
        (SUPER, 120_600, 12_700, {"attention": "hybrid", "full_layers": 8, "state_layers": 40, "shared_experts": 2}),
        (DENSE_HYBRID, 56_000, 56_000, {"layers": 118, "full_layers": 10, "state_layers": 54, "head_dim": 128}),
        (MAVERICK, 400_700, 17_200, {"attention": "sliding", "full_layers": 12, "dense_layers": 24}),
        (GEMMA_4, 25_800, 3_800, {"experts_per_token": 8, "full_layers": 5, "window_tokens": 1024}),
        (MIMO, 309_000, 15_000, {"attention": "sliding", "full_layers": 9, "dense_layers": 1}),
        (QWEN2_MOE, 14_300, 2_700, {"attention": "full", "shared_experts": 4}),
        (FALCON, 7_200, 7_200, {"kv_heads": 1, "intermediate": 18176}),
    ],
)
def test_what_a_family_says_in_its_own_way_is_read(
    config: dict[str, Any], millions: float, active: float, figures: dict[str, Any]
) -> None:
    model = model_from_config(config, model_id="x/y")
    assert {key: getattr(model, key) for key in figures} == figures
    assert model.parameters_b * 1e3 == pytest.approx(millions, rel=0.05)
    assert model.active_b * 1e3 == pytest.approx(active, rel=0.05)


def test_blocks_that_differ_are_added_up() -> None:
    """Heads per group of the blocks that attend, and an MLP of its own width in each block."""
    attends = {"attention": {"n_heads_in_group": 8}, "ffn": {"ffn_mult": 5.25}}
    skips = {"attention": {"n_heads_in_group": None}, "ffn": {"ffn_mult": 2.625}}
    config = {"hidden_size": 8192, "num_hidden_layers": 2, "num_attention_heads": 64, "num_key_value_heads": None,
              "intermediate_size": None, "vocab_size": 128256, "block_configs": [attends, skips]}  # fmt: skip
    model = model_from_config(config, model_id="x/y")
    assert model.kv_heads == 8
    attention, wide, narrow = 2 * 8192 * 128 * (64 + 8), 3 * 8192 * 28672, 3 * 8192 * 14336
    assert model.parameters_b * 1e9 == pytest.approx(2 * 128256 * 8192 + attention + wide + narrow)


def test_four_bits_of_a_mixture_are_those_of_its_experts() -> None:
    """gpt-oss-20b: 12.8 GiB on the hub, of which the experts are two thirds."""
    config = {
        "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64,
        "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 201088, "num_local_experts": 32,
        "num_experts_per_tok": 4, "quantization_config": {"quant_method": "mxfp4"},
    }  # fmt: skip
    assert model_from_config(config, model_id="x/y").weight_gib == pytest.approx(12.82, rel=0.01)


def test_the_quantisation_may_stand_in_a_file_beside(tmp_path: Path) -> None:
    config = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    plain = model_from_file(tmp_path / "config.json", model_id="x/y")
    beside = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(beside), encoding="utf-8")
    lowered = model_from_file(tmp_path / "config.json", model_id="x/y")
    assert (plain.precision, lowered.precision) == ("bf16", "nvfp4")
    assert lowered.weight_gib < plain.weight_gib / 2


def test_a_cache_that_is_not_modelled_is_refused_and_not_guessed() -> None:
    config = {"model_type": "deepseek_v4", "hidden_size": 4096, "num_hidden_layers": 43, "num_attention_heads": 64,
              "vocab_size": 129280, "sliding_window": 128, "compress_ratios": [0, 4, 128]}  # fmt: skip
    with pytest.raises(UserFault, match="compresses its KV cache in a way that is not modelled"):
        model_from_config(config, model_id="x/y")
