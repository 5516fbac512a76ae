"""What an allocation keeps to, one feature at a time; every plan also passes the independent check."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest

from planner.allocation import (
    Allocation,
    Application,
    Cap,
    Infeasible,
    Option,
    Pool,
    Problem,
    SpotRule,
    Spread,
    Workload,
    allocate,
    binding_constraints,
    cheapest_of,
    describe,
    runner_up,
    solve,
    violations,
)
from planner.faults import UserFault

L4 = Pool(name="g6.xlarge", vcpu=3.9, memory_gib=14, gpus=1, gpu_type="L4", usd_per_hour=0.8, spot_usd_per_hour=0.3)
L4X4 = Pool(name="g6.12xlarge", vcpu=47, memory_gib=180, gpus=4, gpu_type="L4", usd_per_hour=4.6)
H100 = Pool(name="p5.48xlarge", vcpu=190, memory_gib=2000, gpus=8, gpu_type="H100", usd_per_hour=55.0)
CPU = Pool(name="m7i.2xlarge", vcpu=7.9, memory_gib=30, usd_per_hour=0.4)

ON_L4 = Option(name="l4", gpu_type="L4", gpus=1, vcpu=3, memory_gib=12, requests_per_second=(1.0, 0.5))
ON_H100 = Option(name="h100", gpu_type="H100", gpus=1, vcpu=8, memory_gib=60, requests_per_second=(9.0, 6.0))
CHAT = Workload(name="chat", demand=(5.0, 3.0), options=(ON_L4, ON_H100))
WEB = Application(name="web", replicas=3, vcpu=0.5, memory_gib=1)


def solved(problem: Problem, **settings: object) -> Allocation:
    result = allocate(problem, **settings)  # type: ignore[arg-type]
    assert isinstance(result, Allocation), result
    assert violations(problem, result) == []
    return result


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


@pytest.mark.parametrize("solver", ["highs", "greedy"])
@pytest.mark.parametrize("max_options", [None, 1])
@pytest.mark.parametrize("tiny", [1e-7, 1e-12, 1e-300])
def test_a_tiny_demand_still_gets_a_replica_that_can_serve_it(
    solver: str, max_options: int | None, tiny: float
) -> None:
    blind = replace(ON_L4, requests_per_second=(1.0, 0.0))
    workload = Workload(
        name="chat", demand=(0.5, tiny), options=(blind, ON_H100), min_replicas=0, max_options=max_options
    )
    allocation = solved(Problem(pools=(L4, H100), workloads=(workload,)), solver=solver)
    assert "h100" in {choice.option for choice in allocation.of("chat")}
    alone = replace(workload, options=(ON_H100,), demand=(0.0, tiny))
    assert solved(Problem(pools=(L4, H100), workloads=(alone,)), solver=solver).of("chat")[0].replicas == 1


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


def test_greedy_keeps_every_constraint_and_admits_that_it_proves_nothing() -> None:
    zoned = tuple(replace(pool, zones=("a", "b", "c")) for pool in (L4, L4X4, CPU))
    workload = replace(
        CHAT, options=(ON_L4,), spot=SpotRule(floor_replicas=2), spread=Spread(max_per_node=1, min_zones=2)
    )
    problem = Problem(
        pools=zoned, workloads=(workload,), applications=(WEB,), caps=(Cap(name="g", unit="gpus", limit=14),)
    )
    greedy = solved(problem, solver="greedy")
    assert greedy.bound == -math.inf
    assert "nothing proven" in describe(greedy)
    assert solved(problem).usd_per_hour <= greedy.usd_per_hour


def test_greedy_takes_over_when_highs_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    allocation = solved(Problem(pools=(L4, CPU), workloads=(CHAT,)))
    assert allocation.solver == "greedy"
    assert "HiGHS is not usable" in allocation.fallback


def test_greedy_takes_over_when_the_search_may_not_start() -> None:
    problem = Problem(pools=(L4, H100), workloads=(replace(CHAT, whole_buckets=True),))
    allocation = solved(problem, node_limit=0)
    assert allocation.usd_per_hour >= solved(problem).usd_per_hour


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


def test_same_answer_twice() -> None:
    problem = Problem(pools=(L4, L4X4, H100, CPU), workloads=(CHAT,), applications=(WEB,))
    assert solve(problem) == solve(problem)


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


def test_importing_the_package_loads_no_solver() -> None:
    code = "import sys, planner.allocation; print([m for m in ('highspy', 'scipy', 'pulp') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_solving_prints_nothing() -> None:
    # In a fresh process, because a solver writes past Python's own streams.
    pool = "Pool(name='n', vcpu=4, memory_gib=8, usd_per_hour=1.0)"
    code = (
        "from planner.allocation import *\n"
        f"solve(Problem(pools=({pool},), applications=(Application(name='a', replicas=3, vcpu=3, memory_gib=1),)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")


def test_nothing_to_run_costs_nothing() -> None:
    assert solved(Problem(pools=(L4,))).usd_per_hour == 0
    assert solved(Problem(pools=())).nodes == ()


def test_an_infeasible_problem_says_so() -> None:
    result = solve(Problem(pools=(L4,), workloads=(replace(CHAT, options=(ON_H100,)),)))
    assert isinstance(result, Infeasible)
    assert result.proven


def pool_of(kind: int, gpus: int) -> Pool:
    price = (0.5 + kind) * gpus * 1.02 + 0.2
    size = {"gpus": gpus, "vcpu": 8 * gpus, "memory_gib": 64 * gpus}
    return Pool(name=f"t{kind}x{gpus}", gpu_type=f"T{kind}", usd_per_hour=price, **size)  # type: ignore[arg-type]


def model_of(index: int) -> Workload:
    def option(kind: int) -> Option:
        rates = tuple((1 + kind) ** 0.9 * (1 + ((7 * bucket + 3 * kind + index) % 11) / 20) for bucket in range(24))
        gpus = 1 + (index + kind) % 2
        return Option(name=f"T{kind}", gpu_type=f"T{kind}", gpus=gpus, vcpu=4, memory_gib=24, requests_per_second=rates)

    demand = tuple(0.1 * (1 + (bucket * (index + 2)) % 5) for bucket in range(24))
    return Workload(name=f"m{index}", options=tuple(map(option, range(12))), demand=demand, min_replicas=2)


def test_a_stack_of_five_models_on_twelve_gpu_types_is_small_work() -> None:
    pools = (*(pool_of(kind, gpus) for kind in range(12) for gpus in (1, 4, 8)), CPU)
    problem = Problem(pools=pools, workloads=tuple(map(model_of, range(5))), applications=(WEB,))
    # CPU time, as other work on the machine is not this program's; generous, as a slow machine is not a fault either.
    before = time.process_time()
    allocation = solved(problem)
    assert time.process_time() - before < 10
    assert allocation.gap < 0.01
