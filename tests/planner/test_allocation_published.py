"""Cases that others published: their numbers must come out."""

from __future__ import annotations

import pytest

from planner.allocation import Allocation, Option, Pool, Problem, Workload, allocate, single_type_costs, violations


def solved(problem: Problem, **settings: str) -> Allocation:
    result = allocate(problem, **settings)
    assert isinstance(result, Allocation)
    assert violations(problem, result) == []
    return result


def replicas(allocation: Allocation, workload: str) -> dict[str, int]:
    return {choice.option: choice.replicas for choice in allocation.of(workload)}


def melange_readme(*, whole_buckets: bool) -> Problem:
    """github.com/tyler-griggs/melange-release: melange/config/example.json at ebba701; the result is in its README."""
    rates = {"A10G": (2.0, 1.0, 5.0, 2.0), "A100-80GB": (20.0, 20.0, 40.0, 20.0)}
    prices = {"A10G": 1.01, "A100-80GB": 3.67}
    pools = tuple(
        Pool(name=name, gpu_type=name, gpus=1, vcpu=8, memory_gib=64, usd_per_hour=prices[name]) for name in rates
    )
    options = tuple(Option(name=name, gpu_type=name, gpus=1, requests_per_second=rates[name]) for name in rates)
    demand = tuple(30.0 * share for share in (0.2, 0.1, 0.5, 0.2))
    return Problem(
        pools=pools, workloads=(Workload(name="llm", demand=demand, options=options, whole_buckets=whole_buckets),)
    )


def test_melange_readme_with_a_slice_per_bucket() -> None:
    allocation = solved(melange_readme(whole_buckets=True))
    assert replicas(allocation, "llm") == {"A10G": 3, "A100-80GB": 1}
    assert allocation.usd_per_hour == pytest.approx(6.70)
    assert allocation.bound == pytest.approx(6.70)


def test_melange_readme_best_single_type() -> None:
    costs = single_type_costs(melange_readme(whole_buckets=True), "llm")
    assert costs == {"A10G": pytest.approx(12.12), "A100-80GB": pytest.approx(7.34)}


def test_melange_readme_is_cheaper_when_a_bucket_may_be_split() -> None:
    # A third of the third bucket on one A10G leaves 0.3 + 0.15 + 0.25 + 0.3 = 1 A100.
    allocation = solved(melange_readme(whole_buckets=False))
    assert replicas(allocation, "llm") == {"A10G": 1, "A100-80GB": 1}
    assert allocation.usd_per_hour == pytest.approx(4.68)


def autoscaling_1251() -> Problem:
    """github.com/llm-d/llm-d-autoscaling/issues/1251: 100 needed; A gives 200 for 10, B gives 100 for 6."""
    pools = (
        Pool(name="a", gpu_type="A", gpus=1, vcpu=8, memory_gib=64, usd_per_hour=10.0),
        Pool(name="b", gpu_type="B", gpus=1, vcpu=8, memory_gib=64, usd_per_hour=6.0),
    )
    options = (
        Option(name="A", gpu_type="A", gpus=1, requests_per_second=(200.0,)),
        Option(name="B", gpu_type="B", gpus=1, requests_per_second=(100.0,)),
    )
    return Problem(pools=pools, workloads=(Workload(name="llm", demand=(100.0,), options=options),))


def test_greedy_pays_ten_where_six_suffices() -> None:
    greedy = solved(autoscaling_1251(), solver="greedy")
    assert (greedy.usd_per_hour, replicas(greedy, "llm")) == (10.0, {"A": 1})
    exact = solved(autoscaling_1251())
    assert (exact.usd_per_hour, replicas(exact, "llm")) == (6.0, {"B": 1})


# github.com/kaito-project/kaito/pull/2302. GPUs, vCPU and GiB per node as Azure lists them (NC A100 v4, NVadsA10 v5).
NC48 = Pool(name="Standard_NC48ads_A100_v4", gpu_type="A100-80GB", gpus=2, vcpu=48, memory_gib=440, usd_per_hour=7.346)
NV36 = Pool(name="Standard_NV36ads_A10_v5", gpu_type="A10-24GB", gpus=1, vcpu=36, memory_gib=440, usd_per_hour=3.2)


def test_kaito_gpt_oss_120b_takes_one_node() -> None:
    option = Option(name="tp2", gpu_type="A100-80GB", gpus=2, vcpu=16, memory_gib=160)
    allocation = solved(Problem(pools=(NC48,), workloads=(Workload(name="gpt-oss-120b", options=(option,)),)))
    assert [node.pool for node in allocation.nodes] == ["Standard_NC48ads_A100_v4"]


def test_kaito_nemotron_takes_two_nodes_when_a_replica_needs_two_gpus_of_nodes_with_one() -> None:
    pipeline = Option(name="pp2", gpu_type="A10-24GB", gpus=1, vcpu=8, memory_gib=40, shards=2)
    workload = Workload(name="Nemotron-Nano-9B-v2", options=(pipeline,))
    allocation = solved(Problem(pools=(NV36,), workloads=(workload,)))
    assert [node.pool for node in allocation.nodes] == ["Standard_NV36ads_A10_v5"] * 2
    assert replicas(allocation, "Nemotron-Nano-9B-v2") == {"pp2": 1}


def test_tensor_parallel_does_not_straddle_nodes() -> None:
    tensor = Option(name="tp2", gpu_type="A10-24GB", gpus=2, vcpu=8, memory_gib=40)
    result = allocate(Problem(pools=(NV36,), workloads=(Workload(name="Nemotron-Nano-9B-v2", options=(tensor,)),)))
    assert not isinstance(result, Allocation)
    assert result.proven
