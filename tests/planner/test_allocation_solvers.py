"""The solvers of the allocation: which one runs, what each is good for, and what using them costs."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from planner.allocation import (
    Cap,
    Option,
    Pool,
    Problem,
    SpotRule,
    Spread,
    Workload,
    describe,
    solve,
)
from tests.planner.problems import CHAT, CPU, H100, L4, L4X4, ON_H100, ON_L4, WEB, solved


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


def test_same_answer_twice() -> None:
    problem = Problem(pools=(L4, L4X4, H100, CPU), workloads=(CHAT,), applications=(WEB,))
    assert solve(problem) == solve(problem)


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
