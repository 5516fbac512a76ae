from __future__ import annotations

import json

import pytest

from planner.catalogue import load
from planner.faults import UserFault
from planner.huggingface import model_from_config, model_from_file

CATALOGUE = load()
QWEN = {
    "num_hidden_layers": 36, "hidden_size": 4096, "intermediate_size": 12288, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 40960,
    "sliding_window": None, "use_sliding_window": False, "tie_word_embeddings": False,
}  # fmt: skip
DEEPSEEK = {
    "num_hidden_layers": 61, "hidden_size": 7168, "intermediate_size": 18432, "num_attention_heads": 128,
    "num_key_value_heads": 128, "vocab_size": 129280, "max_position_embeddings": 163840, "kv_lora_rank": 512,
    "qk_rope_head_dim": 64, "n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048,
    "n_shared_experts": 1, "first_k_dense_replace": 3, "head_dim": 192,
    "q_lora_rank": 1536, "qk_nope_head_dim": 128, "v_head_dim": 128,
    "quantization_config": {"quant_method": "fp8"},
}  # fmt: skip
GPT_OSS = {
    "num_hidden_layers": 36, "hidden_size": 2880, "intermediate_size": 2880, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 201088, "max_position_embeddings": 131072,
    "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 18, "num_local_experts": 128,
    "num_experts_per_tok": 4, "quantization_config": {"quant_method": "mxfp4"},
}  # fmt: skip
GEMMA = {
    "text_config": {
        "num_hidden_layers": 62, "hidden_size": 5376, "intermediate_size": 21504, "num_attention_heads": 32,
        "num_key_value_heads": 16, "head_dim": 128, "vocab_size": 262208, "max_position_embeddings": 131072,
        "sliding_window": 1024, "sliding_window_pattern": 6, "tie_word_embeddings": True,
    },
    "vision_config": {"hidden_size": 1152},
}  # fmt: skip
QWEN_HYBRID = {
    "num_hidden_layers": 64, "hidden_size": 5120, "intermediate_size": 17408, "num_attention_heads": 24,
    "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 248320, "max_position_embeddings": 262144,
    "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 16, "linear_num_value_heads": 48,
    "linear_num_key_heads": 16, "linear_value_head_dim": 128, "linear_key_head_dim": 128,
    "linear_conv_kernel_dim": 4, "attn_output_gate": True, "mamba_ssm_dtype": "float32",
}  # fmt: skip


_SAME = [
    *("layers", "full_layers", "kv_heads", "head_dim", "attention", "window_tokens", "kv_lora_rank", "state_layers"),
    *("state_kib", "experts", "experts_per_token", "precision", "tied_embeddings"),
]


@pytest.mark.parametrize(
    ("config", "known"),
    [
        (QWEN, "Qwen/Qwen3-8B"),
        (DEEPSEEK, "deepseek-ai/DeepSeek-V3-0324"),
        (GPT_OSS, "openai/gpt-oss-120b"),
        (GEMMA, "google/gemma-3-27b-it"),
        (QWEN_HYBRID, "Qwen/Qwen3.6-27B"),
    ],
)
def test_a_config_gives_what_the_catalogue_says(config: dict, known: str):
    found, expected = model_from_config(config, model_id=known), CATALOGUE.models[known]
    for field in _SAME:
        assert getattr(found, field) == getattr(expected, field), field
    assert found.parameters_b == pytest.approx(expected.parameters_b, rel=0.05)
    assert found.active_b == pytest.approx(expected.active_b, rel=0.2)


def test_a_stated_size_wins_over_the_counted_one():
    assert model_from_config(QWEN, model_id="x/y", weight_gib=15.3).weight_gib == 15.3


def test_a_file_is_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(QWEN), encoding="utf-8")
    model = model_from_file(path, model_id="x/y")
    assert (model.id, model.kv_heads, model.source) == ("x/y", 8, str(path))


@pytest.mark.parametrize("text", ["{", "[]", '{"hidden_size": 4096}'])
def test_an_unusable_file_is_the_users_fault(tmp_path, text: str):
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserFault, match=r"To fix: download config\.json"):
        model_from_file(path, model_id="x/y")


def test_a_missing_file_is_the_users_fault(tmp_path):
    with pytest.raises(UserFault, match="cannot be read"):
        model_from_file(tmp_path / "none.json", model_id="x/y")
