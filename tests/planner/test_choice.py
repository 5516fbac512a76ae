from __future__ import annotations

import pytest

from planner.catalogue import load
from planner.choice import Candidate, Constraints, candidates
from planner.faults import UserFault
from planner.memory import Serving, estimate_memory
from planner.workload import Slo, Workload

CATALOGUE = load()
SLO = Slo(ttft_ms=500, tpot_ms=50)
CHAT = Workload.from_means(requests_per_second=2, input_tokens=800, output_tokens=200, context_tokens=8192)


def _choose(model: str, slo: Slo = SLO, **constraints):
    return candidates(CATALOGUE.models[model], CHAT, slo, CATALOGUE, Constraints(**constraints))


def _refit(candidate: Candidate, model: str) -> bool:
    serving = Serving(
        tensor_parallel=candidate.tensor_parallel,
        pipeline_parallel=candidate.pipeline_parallel,
        precision=candidate.precision,
        kv_bytes=candidate.kv_bytes,
        context_tokens=candidate.context_tokens,
    )
    return estimate_memory(CATALOGUE.models[model], CATALOGUE.gpus[candidate.gpu], serving).fits


@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "meta-llama/Llama-3.3-70B-Instruct", "openai/gpt-oss-120b"])
def test_every_candidate_fits_and_keeps_its_promises(model: str):
    choice = _choose(model, context_tokens=8192)
    assert choice.candidates
    for candidate in choice.candidates:
        assert _refit(candidate, model)
        assert candidate.ttft_ms <= SLO.ttft_ms
        assert candidate.tpot_ms <= SLO.tpot_ms
        assert candidate.requests_per_second > 0
        assert len(candidate.bucket_requests_per_second) == len(CHAT.buckets)
        assert candidate.gpus <= CATALOGUE.instances[candidate.instance_type].gpus


def test_candidates_are_ordered_by_cost_per_request_and_the_same_every_time():
    first, second = _choose("Qwen/Qwen3-8B", context_tokens=8192), _choose("Qwen/Qwen3-8B", context_tokens=8192)
    assert first == second
    costs = [c.usd_per_hour / c.requests_per_second for c in first.candidates if c.usd_per_hour]
    assert costs == sorted(costs)
    assert len({candidate.name for candidate in first.candidates}) == len(first.candidates)


def test_unknown_prices_come_last_and_stay_unknown():
    last = _choose("Qwen/Qwen3-8B", context_tokens=8192).candidates[-1]
    assert last.instance_type == "p5e.48xlarge"
    assert last.usd_per_hour is None


def test_precision_is_lowered_only_when_allowed():
    strict = _choose("Qwen/Qwen3-8B", context_tokens=8192)
    assert {candidate.precision for candidate in strict.candidates} == {"bf16"}
    allowed = _choose("Qwen/Qwen3-8B", context_tokens=8192, quality_steps=("fp8",))
    assert {candidate.precision for candidate in allowed.candidates} == {"bf16", "fp8"}


def test_an_l4_is_too_slow_for_8b_in_half_precision_and_fast_enough_in_fp8():
    choice = _choose("Qwen/Qwen3-8B", context_tokens=8192, instance_types=("g6.xlarge",), quality_steps=("fp8",))
    assert [candidate.name for candidate in choice.candidates] == ["g6.xlarge fp8 tp1"]
    (refused,) = choice.rejected
    assert (refused.option, refused.constraint) == ("g6.xlarge bf16 tp1", "slo.tpot_ms")
    assert "50 ms are promised" in refused.reason


def test_reasons_name_the_constraint():
    choice = _choose("openai/gpt-oss-120b", context_tokens=8192)
    by_option = {refused.option: refused for refused in choice.rejected}
    assert by_option["g6.xlarge mxfp4 tp1"].constraint == "GPU memory"
    assert "compute capability" in by_option["g4dn.xlarge mxfp4"].reason
    assert "Neuron" in by_option["inf2.xlarge"].reason
    assert all(refused.reason for refused in choice.rejected)


SLOW = Slo(ttft_ms=5000, tpot_ms=100)


def test_several_nodes_are_a_last_resort_and_only_where_they_may_be_used():
    one = _choose("nvidia/NVIDIA-Nemotron-Nano-9B-v2", SLOW, context_tokens=8192, instance_types=("g5.xlarge",))
    assert {(candidate.pipeline_parallel, candidate.nodes) for candidate in one.candidates} == {(1, 1)}
    asked = {"context_tokens": 8192, "instance_types": ("g5.xlarge",)}
    two = _choose("Qwen/Qwen3-14B", SLOW, **asked, max_nodes=2)
    assert [(c.pipeline_parallel, c.nodes, c.gpus) for c in two.candidates] == [(2, 2, 2)]
    none = _choose("Qwen/Qwen3-14B", SLOW, **asked)
    assert not none.candidates
    (refused,) = [item for item in none.rejected if item.constraint == "one node"]
    assert (refused.option, "would span 2 nodes" in refused.reason) == ("g5.xlarge bf16 tp1 pp2", True)


def test_stages_inside_a_node_use_gpus_that_the_heads_do_not_divide_by():
    # 40 query heads and 10 KV heads: two GPUs share them, four do not.
    choice = _choose("microsoft/phi-4", SLOW, context_tokens=8192, instance_types=("p5.48xlarge",))
    degrees = {(c.tensor_parallel, c.pipeline_parallel) for c in choice.candidates}
    assert degrees == {(1, 1), (2, 1), (2, 2), (2, 4)}
    assert all(c.nodes == 1 and c.gpus == c.tensor_parallel * c.pipeline_parallel for c in choice.candidates)


def test_where_gpus_talk_over_pcie_stages_stand_beside_tensor_parallelism():
    choice = _choose("Qwen/Qwen3-32B", SLOW, context_tokens=8192, instance_types=("g6e.12xlarge",))
    by_degree = {(c.tensor_parallel, c.pipeline_parallel): c for c in choice.candidates}
    assert set(by_degree) == {(2, 1), (4, 1), (1, 2), (1, 4), (2, 2)}
    # Stages spare all-reduces, so more requests pass; a token goes through them one after another, so it is slower.
    assert by_degree[2, 2].requests_per_second > by_degree[4, 1].requests_per_second
    tight = _choose("Qwen/Qwen3-32B", Slo(ttft_ms=2000, tpot_ms=35), context_tokens=8192,
                    instance_types=("g6e.12xlarge",))  # fmt: skip
    assert {(c.tensor_parallel, c.pipeline_parallel) for c in tight.candidates} == {(4, 1)}
    assert {c.certainty for c in choice.candidates if c.pipeline_parallel > 1} == {"roofline only"}


def test_fewer_gpus_can_be_demanded():
    choice = _choose("meta-llama/Llama-3.3-70B-Instruct", context_tokens=8192, max_gpus=2)
    assert choice.candidates
    assert max(candidate.gpus for candidate in choice.candidates) <= 2


def test_an_unknown_instance_type_is_the_users_fault():
    with pytest.raises(UserFault, match=r"did you mean `g6\.xlarge`"):
        _choose("Qwen/Qwen3-8B", instance_types=("g6.xlrge",))


def test_small_models_run_on_cpus_when_asked():
    slow = Slo(ttft_ms=5000, tpot_ms=100)
    choice = _choose(
        "Qwen/Qwen3-0.6B", slow, context_tokens=2048, cpus=True, instance_types=("c7g.8xlarge", "g6.xlarge")
    )
    cpu = next(candidate for candidate in choice.candidates if candidate.engine == "llama.cpp")
    assert (cpu.gpus, cpu.gpu, cpu.certainty) == (0, "", "roofline only")
    assert cpu.usd_per_hour == CATALOGUE.instances["c7g.8xlarge"].usd_per_hour
    large = _choose("Qwen/Qwen3-235B-A22B", slow, context_tokens=2048, cpus=True, instance_types=("c7g.8xlarge",))
    assert not large.candidates
    assert large.rejected[0].constraint == "memory"
