"""What an allocation keeps to, one feature at a time; every plan also passes the independent check."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest

from planner.allocation import (
    Allocation,
    Application,
    Cap,
    Infeasible,
    Pool,
    Problem,
    SpotRule,
    Spread,
    Workload,
    binding_constraints,
    cheapest_of,
    runner_up,
    solve,
)
from planner.faults import UserFault
from tests.planner.problems import CHAT, CPU, H100, L4, L4X4, ON_H100, ON_L4, WEB, solved


def pools_of(allocation: Allocation) -> Counter[tuple[str, str]]:
    return Counter((node.pool, node.purchase) for node in allocation.nodes)


def test_pods_share_nodes_and_gpu_nodes_keep_their_taint() -> None:
    allocation = solved(Problem(pools=(L4, H100, CPU), workloads=(CHAT,), applications=(WEB,)))
    assert pools_of(allocation) == {("g6.xlarge", "on-demand"): 11, ("m7i.2xlarge", "on-demand"): 1}
    assert allocation.usd_per_hour == pytest.approx(11 * 0.8 + 0.4)


def test_cpu_pods_use_room_on_gpu_nodes_that_take_them() -> None:
    open_node = replace(H100, accepts_cpu_pods=True, usd_per_hour=5.0)
    allocation = solved(Problem(pools=(open_node, CPU), workloads=(CHAT,), applications=(WEB,)))
    assert pools_of(allocation) == {("p5.48xlarge", "on-demand"): 1}


@pytest.mark.parametrize("objective", ["cost", "owned"])
def test_owned_nodes_come_first_and_no_more_of_them_than_needed(objective: str) -> None:
    owned = replace(H100, owned_nodes=3)
    problem = Problem(pools=(L4, owned, CPU), workloads=(CHAT,), applications=(WEB,), objective=objective)  # type: ignore[arg-type]
    allocation = solved(problem)
    assert pools_of(allocation) == {("p5.48xlarge", "owned"): 1, ("m7i.2xlarge", "on-demand"): 1}
    assert allocation.of("chat")[0].replicas == 2


def test_owned_nodes_at_a_price_of_their_own_compete_with_rent_unless_owned_is_the_objective() -> None:
    dear = replace(H100, owned_nodes=1, owned_usd_per_hour=20.0, usd_per_hour=None)
    by_cost = Problem(pools=(L4, dear), workloads=(CHAT,))
    assert pools_of(solved(by_cost)) == {("g6.xlarge", "on-demand"): 11}
    by_use = solved(replace(by_cost, objective="owned"))
    assert pools_of(by_use) == {("p5.48xlarge", "owned"): 1}
    assert by_use.usd_per_hour == 20.0


def test_spot_is_used_above_the_floor_only() -> None:
    workload = replace(CHAT, options=(ON_L4,), spot=SpotRule(floor_replicas=2))
    allocation = solved(Problem(pools=(L4,), workloads=(workload,)))
    assert pools_of(allocation) == {("g6.xlarge", "on-demand"): 2, ("g6.xlarge", "spot"): 9}
    half = replace(workload, spot=SpotRule(floor_replicas=1, floor_fraction=0.5))
    assert pools_of(solved(Problem(pools=(L4,), workloads=(half,))))["g6.xlarge", "on-demand"] == 6
    never = replace(workload, spot=None)
    assert pools_of(solved(Problem(pools=(L4,), workloads=(never,)))) == {("g6.xlarge", "on-demand"): 11}


def test_quotas_and_caps_move_the_plan_elsewhere() -> None:
    quota = replace(L4, max_rented_nodes=8)
    assert pools_of(solved(Problem(pools=(quota, L4X4), workloads=(CHAT,)))) == {
        ("g6.xlarge", "on-demand"): 7,
        ("g6.12xlarge", "on-demand"): 1,
    }
    few = Cap(name="budget.gpus", unit="gpus", limit=8)
    assert pools_of(solved(Problem(pools=(L4, H100), workloads=(CHAT,), caps=(few,)))) == {
        ("p5.48xlarge", "on-demand"): 1
    }


def test_anti_affinity_takes_a_node_each() -> None:
    web = replace(WEB, spread=Spread(max_per_node=1))
    assert pools_of(solved(Problem(pools=(CPU,), applications=(web,)))) == {("m7i.2xlarge", "on-demand"): 3}


def test_zones_are_covered_evenly() -> None:
    zoned = tuple(replace(pool, zones=("a", "b", "c")) for pool in (L4, CPU))
    workload = replace(CHAT, options=(ON_L4,), spread=Spread(min_zones=3))
    allocation = solved(Problem(pools=zoned, workloads=(workload,), applications=(WEB,)))
    zones = Counter(node.zone for node in allocation.nodes if node.pool == "g6.xlarge")
    assert sorted(zones.values()) == [3, 4, 4]


def test_one_option_at_most_gives_one_kind_of_replica() -> None:
    other = replace(ON_L4, name="h100", gpu_type="H100", requests_per_second=(10.0, 4.0))
    small = replace(H100, gpus=1, usd_per_hour=5.0)
    mixed = Workload(name="chat", demand=(10.5, 4.2), options=(ON_L4, other))
    free = solved(Problem(pools=(L4, small), workloads=(mixed,)))
    assert {choice.option: choice.replicas for choice in free.of("chat")} == {"l4": 1, "h100": 2}
    one = solved(Problem(pools=(L4, small), workloads=(replace(mixed, max_options=1),)))
    assert [(choice.option, choice.replicas) for choice in one.of("chat")] == [("h100", 3)]


def test_aggregate_room_is_not_enough_pods_do_not_straddle_nodes() -> None:
    # 3 pods of 5 vCPU need 15 of 16 vCPU on two nodes of 8, and yet three nodes.
    application = Application(name="fat", replicas=3, vcpu=5, memory_gib=1)
    pool = replace(CPU, vcpu=8)
    assert len(solved(Problem(pools=(pool,), applications=(application,))).nodes) == 3
    # CPU-heavy and memory-heavy pods: each resource alone would fit on two nodes.
    one = Application(name="one", replicas=2, vcpu=5, memory_gib=8)
    two = Application(name="two", replicas=2, vcpu=2, memory_gib=23)
    allocation = solved(Problem(pools=(replace(pool, memory_gib=30),), applications=(one, two)))
    assert len(allocation.nodes) == 4
    assert allocation.bound == pytest.approx(allocation.usd_per_hour)


def test_runner_up_and_binding_constraints_carry_costs() -> None:
    quota = Problem(pools=(replace(L4, max_rented_nodes=20), H100), workloads=(CHAT,))
    other = runner_up(quota, solved(quota), "chat")
    assert other is not None
    assert (other.without, other.usd_per_hour, other.choices[0].option) == ("l4", 55.0, "h100")
    tight = replace(quota, pools=(replace(L4, max_rented_nodes=5), quota.pools[1]))
    binding = binding_constraints(tight, solved(tight))
    assert [(b.constraint.name, b.usd_per_hour_without) for b in binding] == [("quota g6.xlarge", pytest.approx(8.8))]


def test_no_runner_up_where_there_is_one_way_only() -> None:
    problem = Problem(pools=(L4,), workloads=(replace(CHAT, options=(ON_L4,)),))
    assert runner_up(problem, solved(problem), "chat") is None


def test_variants_come_cheapest_first_and_impossible_ones_not_at_all() -> None:
    def with_rate(factor: float) -> Problem:
        rates = tuple(factor * rate for rate in ON_L4.requests_per_second)
        return Problem(
            pools=(replace(L4, max_rented_nodes=11),),
            workloads=(replace(CHAT, options=(replace(ON_L4, requests_per_second=rates),)),),
        )

    ranked = cheapest_of({"as is": with_rate(1.0), "fp8": with_rate(1.6), "fp32": with_rate(0.5)})
    assert [name for name, _ in ranked] == ["fp8", "as is"]


def test_every_mistake_in_the_input_is_named_at_once() -> None:
    with pytest.raises(UserFault) as raised:
        Problem(
            pools=(L4, L4, replace(CPU, vcpu=-1.0), Pool(name="odd", vcpu=1, memory_gib=1, gpus=2)),
            workloads=(
                Workload(name="none", options=()),
                replace(
                    CHAT, max_replicas=0, options=(replace(ON_L4, pools=("nowhere",), requests_per_second=(1.0,)),)
                ),
            ),
            applications=(replace(WEB, spread=Spread(max_per_node=0)),),
            caps=(Cap(name="money", unit="usd_per_hour", limit=math.nan),),
        )
    text = str(raised.value)
    for part in (
        "the name occurs 2 times", "vcpu is -1.0", "gpus is 2 but gpu_type is None", "it has no option",
        "max_replicas 0 is below min_replicas 1", "pool nowhere does not exist", "1 rates for 2 buckets",
        "max_per_node is 0", "limit is nan",
    ):  # fmt: skip
        assert part in text


def test_nothing_to_run_costs_nothing() -> None:
    assert solved(Problem(pools=(L4,))).usd_per_hour == 0
    assert solved(Problem(pools=())).nodes == ()


def test_an_infeasible_problem_says_so() -> None:
    result = solve(Problem(pools=(L4,), workloads=(replace(CHAT, options=(ON_H100,)),)))
    assert isinstance(result, Infeasible)
    assert result.proven
