"""Why there is no plan: conflicts are irreducible, and every relaxation that is offered works and is the least."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.allocation import (
    Allocation,
    Application,
    Cap,
    Constraint,
    Infeasible,
    Option,
    Pool,
    Problem,
    SpotRule,
    Spread,
    Workload,
    allocate,
    describe,
    solve,
)
from planner.allocation.levers import levers_of

L4 = Pool(name="g6.xlarge", vcpu=3.9, memory_gib=14, gpus=1, gpu_type="L4", usd_per_hour=0.8, zones=("a", "b"))
CPU = Pool(name="m7i.large", vcpu=1.9, memory_gib=7, usd_per_hour=0.1)
ON_L4 = Option(name="l4", gpu_type="L4", gpus=1, vcpu=3, memory_gib=12, requests_per_second=(1.0,))
CHAT = Workload(name="chat", demand=(9.5,), options=(ON_L4,))
WEB = Application(name="web", replicas=2, vcpu=1, memory_gib=1)


def refused(problem: Problem) -> Infeasible:
    result = solve(problem)
    assert isinstance(result, Infeasible)
    assert result.proven
    return result


def needed(result: Infeasible) -> dict[tuple[str, str], float | None]:
    return {(r.constraint.kind, r.constraint.name): r.needed for c in result.conflicts for r in c.relaxations}


def test_budget_against_demand() -> None:
    budget = Cap(name="budget.usd_per_month", unit="usd_per_hour", limit=5.0)
    result = refused(Problem(pools=(L4, CPU), workloads=(CHAT,), applications=(WEB,), caps=(budget,)))
    assert needed(result) == {
        ("demand", "chat"): pytest.approx(5.985),
        ("cap", "budget.usd_per_month"): pytest.approx(8.2),
    }
    assert result.conflicts[0].relaxations[1].usd_per_hour == pytest.approx(8.2)
    assert "budget.usd_per_month 3,650 -> 5,986 USD/month" in describe(result)


def test_two_conflicts_are_told_apart() -> None:
    caps = (Cap(name="budget", unit="usd_per_hour", limit=5.0), Cap(name="gpus", unit="gpus", limit=4))
    result = refused(Problem(pools=(L4,), workloads=(CHAT,), caps=caps))
    assert len(result.conflicts) == 2
    figures = needed(result)
    assert figures["cap", "budget"] == pytest.approx(8.0)
    assert figures["cap", "gpus"] == pytest.approx(10)


def test_what_is_not_part_of_the_conflict_is_not_named() -> None:
    other = replace(CHAT, name="other", demand=(1.0,), min_replicas=2)
    cap = Cap(name="roomy", unit="nodes", limit=1000)
    problem = Problem(
        pools=(L4, CPU), workloads=(replace(CHAT, max_replicas=4), other), applications=(WEB,), caps=(cap,)
    )
    assert needed(refused(problem)) == {("demand", "chat"): pytest.approx(3.99), ("max_replicas", "chat"): 10}


def test_quota_spread_floor_and_replicas() -> None:
    quota = replace(L4, max_rented_nodes=3)
    fixed = replace(CHAT, demand=(0.0,), min_replicas=5)
    assert needed(refused(Problem(pools=(quota,), workloads=(fixed,)))) == {
        ("min_replicas", "chat"): 3,
        ("cap", "quota g6.xlarge"): pytest.approx(5),
    }
    apart = replace(WEB, replicas=4, vcpu=0.2, spread=Spread(max_per_node=1))
    small = Cap(name="nodes", unit="nodes", limit=2)
    assert needed(refused(Problem(pools=(CPU,), applications=(apart,), caps=(small,)))) == {
        ("max_per_node", "web"): 2,
        ("replicas", "web"): 2,
        ("cap", "nodes"): pytest.approx(4),
    }
    only_spot = replace(L4, usd_per_hour=None, spot_usd_per_hour=0.3)
    spot = replace(CHAT, spot=SpotRule(floor_replicas=1))
    assert needed(refused(Problem(pools=(only_spot,), workloads=(spot,)))) == {("spot_floor_replicas", "chat"): 0}
    zones = replace(CHAT, spread=Spread(min_zones=3))
    assert needed(refused(Problem(pools=(L4,), workloads=(zones,)))) == {("min_zones", "chat"): 2}


def test_nothing_can_host_it() -> None:
    stranger = replace(CHAT, options=(replace(ON_L4, gpu_type="B200"),))
    result = refused(Problem(pools=(L4,), workloads=(stranger,)))
    kinds = {relaxation.constraint.kind for conflict in result.conflicts for relaxation in conflict.relaxations}
    assert kinds == {"demand", "min_replicas"}


def test_mixing_and_whole_buckets_can_be_what_conflicts() -> None:
    blind = replace(ON_L4, name="a", requests_per_second=(1.0, 0.0))
    other = replace(ON_L4, name="b", requests_per_second=(0.0, 1.0))
    one = Workload(name="chat", demand=(1.0, 1.0), options=(blind, other), max_options=1)
    assert needed(refused(Problem(pools=(L4,), workloads=(one,)))) == {
        ("max_options", "chat"): 2,
        ("demand", "chat"): 0,
    }


@pytest.mark.parametrize("limit", [2.0, 5.0])
def test_conflicts_are_irreducible_and_relaxations_work(limit: float) -> None:
    caps = (Cap(name="budget", unit="usd_per_hour", limit=limit), Cap(name="many", unit="nodes", limit=500))
    problem = Problem(
        pools=(L4, CPU), workloads=(replace(CHAT, min_replicas=8, max_replicas=20),), applications=(WEB,), caps=caps
    )
    result = refused(problem)
    levers = {lever.constraint: lever for lever in levers_of(problem)}
    for conflict in result.conflicts:
        named = [relaxation.constraint for relaxation in conflict.relaxations]
        only = problem
        for constraint, lever in levers.items():
            if constraint not in named:
                only = lever.dropped(only)
        assert isinstance(allocate(only), Infeasible), "the named constraints alone must conflict"
        for constraint in named:
            assert isinstance(allocate(levers[constraint].dropped(only)), Allocation), f"{constraint} is not needed"
    alone = [relaxation for relaxation in result.conflicts[0].relaxations if len(result.conflicts) == 1]
    for relaxation in alone:
        if relaxation.needed is not None:
            assert isinstance(allocate(levers[relaxation.constraint].apply(problem, relaxation.needed)), Allocation)


def test_levers_cover_every_cap_and_quota() -> None:
    problem = Problem(pools=(replace(L4, max_rented_nodes=1),), caps=(Cap(name="b", unit="gpus", limit=1),))
    assert [lever.constraint for lever in levers_of(problem)] == [
        Constraint(kind="cap", name="b"),
        Constraint(kind="cap", name="quota g6.xlarge"),
    ]


def test_what_is_not_enough_alone_is_not_offered() -> None:
    models = tuple(replace(CHAT, name=name, demand=(4.0,)) for name in ("one", "two", "three"))
    budget = Cap(name="budget", unit="usd_per_hour", limit=1.0)
    result = refused(Problem(pools=(L4,), workloads=models, caps=(budget,)))
    relaxations = {r.constraint.name: r.needed for r in result.conflicts[0].relaxations}
    assert relaxations["budget"] == pytest.approx(9.6)
    assert {needed for name, needed in relaxations.items() if name != "budget"} == {None}
    lines = describe(result).splitlines()
    assert lines[1:] == ["  budget 730 -> 7,008 USD/month"]
