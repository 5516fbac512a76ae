from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalogue import load
from planner.memory import Serving, estimate_memory
from planner.memory_engine import engine_for
from planner.memory_kv import kv_bytes_per_token, kv_layout
from planner.memory_weights import weight_gib, weight_gib_per_gpu

CATALOGUE = load()
MODELS = st.sampled_from(sorted(CATALOGUE.models))
GPUS = st.sampled_from(sorted(CATALOGUE.gpus))
DEGREES = st.sampled_from([1, 2, 4, 8])
LAW = settings(max_examples=60, deadline=None)


def test_kv_cache_per_token_of_llama_8b_is_128_kib():
    model = CATALOGUE.models["meta-llama/Llama-3.1-8B-Instruct"]
    assert kv_bytes_per_token(model) * model.layers == 128 * 1024


def test_a_real_start_of_an_8b_model_on_80_gib():
    """vLLM printed 460,496 tokens and 1.44 GiB of peak activations."""
    gpu = replace(CATALOGUE.gpus["h100"], memory_gib=79.25)
    serving = Serving(gpu_memory_utilization=0.92, context_tokens=131072)
    estimate = estimate_memory(CATALOGUE.models["meta-llama/Llama-3.1-8B-Instruct"], gpu, serving)
    assert estimate.kv_tokens == pytest.approx(460_496, rel=0.02)
    assert estimate.activation_gib == pytest.approx(1.44, abs=0.15)


def test_hybrid_models_share_blocks_between_attention_and_state():
    """vLLM printed 313,650 tokens for 19.54 GiB: 408 blocks of 784 tokens, 341 per sequence of 262,144."""
    model = CATALOGUE.models["Qwen/Qwen3.8-27B"]
    layout = kv_layout(model, engine=engine_for("0.21"), batched_tokens=8192)
    blocks = int(19.54 * 2**30 / layout.block_bytes)
    needed = layout.blocks_per_sequence(262_144)
    assert (layout.block_tokens, blocks, needed) == (784, 408, 341)
    assert int(blocks / needed * 262_144) == pytest.approx(313_650, abs=1000)


def test_older_releases_print_a_hybrid_cache_by_group():
    """vLLM 0.10 printed 973,760 tokens for 44.59 GiB per GPU on two GPUs."""
    model = CATALOGUE.models["Qwen/Qwen3-Next-80B-A3B-Instruct"]
    layout = kv_layout(model, engine=engine_for("0.10.2"), batched_tokens=8192, tensor_parallel=2)
    blocks = int(44.59 * 2**30 / layout.block_bytes)
    groups = layout.full_groups + layout.other_groups
    assert blocks // groups * layout.block_tokens == 973_760


def test_70b_in_half_precision_does_not_fit_on_80_gib():
    estimate = estimate_memory(CATALOGUE.models["meta-llama/Llama-3.1-70B-Instruct"], CATALOGUE.gpus["a100-80gb"])
    assert not estimate.fits
    assert "weights take 131.4 GiB" in estimate.reason


def test_too_long_a_context_is_named_in_the_reason():
    serving = Serving(context_tokens=40_960)
    estimate = estimate_memory(CATALOGUE.models["Qwen/Qwen3-8B"], CATALOGUE.gpus["l4"], serving)
    assert not estimate.fits
    assert "40960 tokens" in estimate.reason


def test_default_utilisation_follows_the_release():
    assert engine_for("v0.10.2").gpu_memory_utilization == 0.90
    assert engine_for("0.21.1").gpu_memory_utilization == 0.92
    assert engine_for("0.18.0").since == "0.12"


def test_four_bit_weights_keep_their_embeddings():
    """The published AWQ checkpoint of this model has 5.68 GiB."""
    assert weight_gib(CATALOGUE.models["Qwen/Qwen3-8B"], "int4") == pytest.approx(5.68, rel=0.03)
    assert weight_gib(CATALOGUE.models["Qwen/Qwen3-32B"], "fp8") == pytest.approx(31.97, rel=0.03)


def test_a_hybrid_model_gets_no_more_sequences_than_states_fit():
    """Left at its default of 256, vLLM fails while it captures CUDA graphs."""
    model = CATALOGUE.models["nvidia/NVIDIA-Nemotron-Nano-9B-v2"]
    estimate = estimate_memory(model, CATALOGUE.gpus["a10"], Serving(context_tokens=8192))
    assert estimate.fits
    assert estimate.sequence_limit * estimate.layout.other_groups <= estimate.blocks
    assert estimate.sequence_limit < 256


@LAW
@given(model=MODELS, gpu=GPUS, context=st.integers(128, 60_000), more=st.integers(0, 60_000))
def test_a_longer_context_never_fits_where_a_shorter_one_does_not(model, gpu, context, more):
    short, long = (
        estimate_memory(CATALOGUE.models[model], CATALOGUE.gpus[gpu], Serving(context_tokens=tokens))
        for tokens in (context, context + more)
    )
    assert short.fits or not long.fits
    assert short.max_sequences >= long.max_sequences


@LAW
@given(model=MODELS, degree=DEGREES, kv_bytes=st.sampled_from([1.0, 2.0]))
def test_more_ranks_never_need_more_per_gpu(model, degree, kv_bytes):
    spec = CATALOGUE.models[model]
    few, many = (weight_gib_per_gpu(spec, tensor_parallel=ranks) for ranks in (degree, 2 * degree))
    assert many <= few * (1 + 1e-9)
    assert many >= weight_gib(spec) / (2 * degree) * 0.999
    one, two = (kv_bytes_per_token(spec, kv_bytes=kv_bytes, tensor_parallel=ranks) for ranks in (degree, 2 * degree))
    assert two <= one


@LAW
@given(model=MODELS, gpu=GPUS, share=st.floats(0.3, 0.9), degree=DEGREES)
def test_more_memory_never_holds_less(model, gpu, share, degree):
    spec, hardware = CATALOGUE.models[model], CATALOGUE.gpus[gpu]
    little, much = (
        estimate_memory(
            spec,
            hardware,
            Serving(gpu_memory_utilization=part, tensor_parallel=degree, context_tokens=4096),
        )
        for part in (share, share + 0.05)
    )
    assert much.kv_tokens >= little.kv_tokens
    assert much.fits or not little.fits


@LAW
@given(model=MODELS, gpu=GPUS, degree=DEGREES, context=st.integers(128, 40_000))
def test_what_fits_adds_up_to_the_budget(model, gpu, degree, context):
    """Recomputed from the parts: weights, activations, the rest and the blocks in use stay within the budget."""
    estimate = estimate_memory(
        CATALOGUE.models[model], CATALOGUE.gpus[gpu], Serving(tensor_parallel=degree, context_tokens=context)
    )
    used = estimate.weights_gib + estimate.activation_gib + estimate.other_gib
    used += estimate.blocks * estimate.layout.block_bytes / 2**30
    if estimate.fits:
        assert used <= estimate.budget_gib + 1e-6
        assert estimate.layout.blocks_per_sequence(context) <= estimate.blocks
