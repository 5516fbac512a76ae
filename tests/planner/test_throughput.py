from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalogue import load
from planner.memory import Serving, estimate_memory
from planner.throughput import certainty, closed_loop, efficiencies_of
from planner.throughput_roofline import Setup, decode_ms, prefill_ms
from planner.throughput_slo import sustained
from planner.workload import Slo, Workload

CATALOGUE = load()
VLLM = efficiencies_of("vllm")
SETUPS = st.builds(
    lambda model, gpu, degree: Setup(
        model=CATALOGUE.models[model], gpu=CATALOGUE.gpus[gpu], tensor_parallel=degree
    ),
    st.sampled_from(["Qwen/Qwen3-8B", "meta-llama/Llama-3.1-70B-Instruct", "openai/gpt-oss-120b",
                     "deepseek-ai/DeepSeek-V3-0324", "google/gemma-3-27b-it", "Qwen/Qwen3.6-27B"]),
    st.sampled_from(["l4", "l40s", "a100-80gb", "h100", "h200", "b200"]),
    st.sampled_from([1, 2, 4, 8]),
)  # fmt: skip
LAW = settings(max_examples=50, deadline=None)


def _setup(model: str, gpu: str, **more) -> Setup:
    return Setup(model=CATALOGUE.models[model], gpu=CATALOGUE.gpus[gpu], **more)


def test_one_sequence_is_bound_by_reading_the_weights():
    """8B in half precision on an L4: 16 GB at 300 GB/s cannot take less than 50 ms per token."""
    assert 50 < decode_ms(_setup("Qwen/Qwen3-8B", "l4"), VLLM, sequences=1, context_tokens=100) < 70


def test_a_mixture_reads_only_the_experts_in_use():
    setup = _setup("openai/gpt-oss-120b", "h100")
    one, many = (decode_ms(setup, VLLM, sequences=count, context_tokens=100) for count in (1, 64))
    everything = setup.model.weight_gib * 2**30 / 3.35e12 * 1e3
    assert one < 0.4 * everything
    assert many > 0.8 * everything


def test_a_window_bounds_the_cache_that_is_read():
    gemma = _setup("google/gemma-3-27b-it", "h100")
    near, far = (decode_ms(gemma, VLLM, sequences=64, context_tokens=tokens) for tokens in (1024, 32_768))
    per_token = 4 * gemma.model.kv_heads * gemma.model.head_dim / 3.35e9 * 64
    assert far - near < per_token * gemma.model.layers * 31_744 * 0.3


def test_requests_beyond_the_cache_wait():
    setup = _setup("Qwen/Qwen3-8B", "h100")
    within, beyond = (
        closed_loop(setup, VLLM, users=64, input_tokens=1000, output_tokens=500, capacity=capacity)
        for capacity in (64, 16)
    )
    assert beyond.ttft_ms > 10 * within.ttft_ms
    assert beyond.tpot_ms < within.tpot_ms


def test_certainty_tells_measured_from_computed():
    assert certainty(_setup("Qwen/Qwen3-8B", "h100")) == "measured family"
    assert certainty(_setup("Qwen/Qwen3-8B", "l4")) == "roofline only"
    assert certainty(_setup("deepseek-ai/DeepSeek-V3-0324", "h100")) == "roofline only"


@LAW
@given(setup=SETUPS, users=st.integers(1, 200), more=st.integers(0, 100), context=st.integers(64, 30_000))
def test_more_sequences_or_longer_ones_are_never_faster(setup, users, more, context):
    step = decode_ms(setup, VLLM, sequences=users, context_tokens=context)
    assert decode_ms(setup, VLLM, sequences=users + more, context_tokens=context) >= step
    assert decode_ms(setup, VLLM, sequences=users, context_tokens=context + more) >= step


@LAW
@given(setup=SETUPS, tokens=st.integers(16, 30_000), more=st.integers(0, 10_000))
def test_longer_prompts_take_longer(setup, tokens, more):
    assert prefill_ms(setup, VLLM, tokens=tokens + more) >= prefill_ms(setup, VLLM, tokens=tokens)


@LAW
@given(setup=SETUPS, ttft=st.integers(50, 5000), tpot=st.integers(5, 200), looser=st.floats(1.0, 3.0))
def test_a_looser_promise_never_sustains_less(setup, ttft, tpot, looser):
    workload = Workload.from_means(requests_per_second=1, input_tokens=600, output_tokens=150, context_tokens=4096)
    memory = estimate_memory(
        setup.model, setup.gpu, Serving(tensor_parallel=setup.tensor_parallel, context_tokens=4096)
    )
    if not memory.fits:
        return
    tight, loose = (
        sustained(setup, VLLM, workload, Slo(ttft_ms=ttft * factor, tpot_ms=tpot * factor), memory=memory)
        for factor in (1.0, looser)
    )
    # Rates are found on a grid of about one percent.
    assert loose.requests_per_second >= tight.requests_per_second * 0.97
    if tight.requests_per_second:
        assert tight.ttft_ms <= ttft
        assert tight.tpot_ms <= tpot


def test_the_rate_of_the_mix_lies_among_those_of_its_buckets():
    setup = _setup("Qwen/Qwen3-8B", "h100")
    workload = Workload.from_means(requests_per_second=1, input_tokens=800, output_tokens=200, context_tokens=8192)
    memory = estimate_memory(setup.model, setup.gpu, Serving(context_tokens=8192))
    found = sustained(setup, VLLM, workload, Slo(ttft_ms=500, tpot_ms=50), memory=memory)
    rates = found.bucket_requests_per_second
    assert min(rates) < found.requests_per_second < max(rates)
    assert found.binding == "slo.tpot_ms"


def test_a_prefix_cache_raises_the_rate():
    setup = _setup("Qwen/Qwen3-8B", "l40s")
    memory = estimate_memory(setup.model, setup.gpu, Serving(context_tokens=8192))
    plain, cached = (
        sustained(
            setup,
            VLLM,
            Workload.from_means(
                requests_per_second=1, input_tokens=2000, output_tokens=100, context_tokens=8192, prefix_share=share
            ),
            Slo(ttft_ms=500, tpot_ms=50),
            memory=memory,
        )
        for share in (0.0, 0.8)
    )
    assert cached.requests_per_second > 1.2 * plain.requests_per_second


@LAW
@given(mean=st.floats(10, 20_000), answer=st.floats(2, 5_000))
def test_buckets_keep_the_means(mean, answer):
    workload = Workload.from_means(requests_per_second=1, input_tokens=mean, output_tokens=answer)
    assert sum(bucket.share for bucket in workload.buckets) == pytest.approx(1)
    assert sum(b.share * b.input_tokens for b in workload.buckets) == pytest.approx(mean, rel=0.02)
    assert sum(b.share * b.output_tokens for b in workload.buckets) == pytest.approx(answer, rel=0.3)


def test_observed_lengths_become_buckets():
    requests = [(float(100 + i), float(1 + i % 50)) for i in range(1000)]
    workload = Workload.from_requests(requests, requests_per_second=2)
    assert sum(bucket.share for bucket in workload.buckets) == pytest.approx(1)
    assert sum(b.share * b.input_tokens for b in workload.buckets) == pytest.approx(599.5)
    assert workload.input_tokens_p90 == 999.0


def test_requests_beyond_the_context_are_not_served():
    workload = Workload.from_requests([(100.0, 10.0), (9000.0, 10.0)], requests_per_second=1, context_tokens=8192)
    assert workload.input_tokens_p90 == 100.0
    with pytest.raises(ValueError, match="at most 50 tokens"):
        Workload.from_requests([(100.0, 10.0)], requests_per_second=1, context_tokens=50)
