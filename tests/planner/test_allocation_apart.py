"""Two programs instead of one: the same optimum, and one program again where a cap couples the two."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.allocation import (
    Allocation,
    Application,
    Cap,
    Infeasible,
    Option,
    Pool,
    Problem,
    Workload,
    allocate,
    allocate_apart,
    violations,
)

POOLS = (
    Pool(name="gpu", gpu_type="L4", gpus=1, vcpu=4, memory_gib=12, usd_per_hour=0.8, owned_nodes=1),
    Pool(name="large", gpu_type="L4", gpus=4, vcpu=48, memory_gib=144, usd_per_hour=2.9),
    Pool(name="small", vcpu=1.5, memory_gib=3, usd_per_hour=0.1),
    Pool(name="wide", vcpu=6, memory_gib=12, usd_per_hour=0.35),
)


def problem(rate: float, pods: int, vcpu: float, caps: tuple[Cap, ...] = ()) -> Problem:
    option = Option(name="l4", gpu_type="L4", gpus=1, vcpu=3, memory_gib=12, requests_per_second=(1.0,))
    return Problem(
        pools=POOLS,
        workloads=(Workload(name="chat", demand=(rate,), options=(option,)),),
        applications=(Application(name="web", replicas=pods, vcpu=vcpu, memory_gib=1),),
        caps=caps,
    )


@settings(max_examples=40, deadline=None)
@given(st.floats(0.5, 12), st.integers(1, 12), st.sampled_from((0.5, 1.0, 4.0)), st.floats(0.5, 14), st.integers(1, 14))
def test_the_answer_is_that_of_one_program(rate: float, pods: int, vcpu: float, budget: float, nodes: int) -> None:
    caps = (Cap(name="budget", unit="usd_per_hour", limit=budget), Cap(name="nodes", unit="nodes", limit=nodes))
    whole = problem(rate, pods, vcpu, caps)
    one, two = allocate(whole), allocate_apart(whole)
    if isinstance(one, Infeasible) or isinstance(two, Infeasible):
        assert isinstance(one, Infeasible) and isinstance(two, Infeasible)
        return
    assert two.objective == pytest.approx(one.objective, rel=1e-5)
    assert violations(whole, two) == [] and two.bound <= two.objective + 1e-9


def test_a_cap_that_couples_them_makes_it_one_program_again() -> None:
    """Apart, the cheapest is one wide node and two single GPUs; together they may have two nodes."""
    whole = problem(2.0, 3, 2.0)
    apart = allocate_apart(whole)
    assert isinstance(apart, Allocation)
    assert sorted(node.pool for node in apart.nodes) == ["gpu", "gpu", "wide"]
    few = replace(whole, caps=(Cap(name="nodes", unit="nodes", limit=2),))
    coupled = allocate_apart(few)
    assert isinstance(coupled, Allocation) and violations(few, coupled) == []
    assert sorted(node.pool for node in coupled.nodes) == ["large", "wide"]


def test_pods_that_may_run_on_both_kinds_of_nodes_are_solved_together() -> None:
    """One more pod fits on the node that the model has anyway."""
    open_pools = (replace(POOLS[0], vcpu=6, memory_gib=14, owned_nodes=0, accepts_cpu_pods=True), *POOLS[2:])
    whole = replace(problem(1.0, 1, 1.0), pools=open_pools)
    found = allocate_apart(whole)
    assert isinstance(found, Allocation) and [node.pool for node in found.nodes] == ["gpu"]
