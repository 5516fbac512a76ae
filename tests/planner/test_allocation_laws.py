"""Laws that hold for every problem: small random ones are solved to proven optimality."""

from __future__ import annotations

import random
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.allocation import (
    Allocation,
    Application,
    Cap,
    Option,
    Pool,
    Problem,
    SpotRule,
    Spread,
    Workload,
    allocate,
    shortlist,
    violations,
)

LAW = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
TYPES = ("A", "B", "C")
# Prices in eighths add up without rounding, so that "never dearer" can be tested as it stands.
PRICES = st.integers(1, 80).map(lambda eighths: eighths / 8)

CAPS = (Cap(name="gpus", unit="gpus", limit=6), Cap(name="usd", unit="usd_per_hour", limit=40))


@st.composite
def pools(draw: st.DrawFn, name: str) -> Pool:
    gpus = draw(st.sampled_from([0, 1, 1, 2, 4]))
    return Pool(
        name=name,
        vcpu=draw(st.sampled_from([4.0, 8.0, 16.0])),
        memory_gib=draw(st.sampled_from([16.0, 32.0])),
        gpus=gpus,
        gpu_type=draw(st.sampled_from(TYPES)) if gpus else None,
        usd_per_hour=draw(PRICES),
        spot_usd_per_hour=draw(st.none() | PRICES),
        owned_nodes=draw(st.sampled_from([0, 0, 1])),
        max_rented_nodes=draw(st.none() | st.integers(1, 12)),
        zones=("a", "b"),
    )


@st.composite
def workloads(draw: st.DrawFn, name: str) -> Workload:
    buckets = draw(st.integers(1, 4))
    rates = st.integers(0, 40).map(lambda tenths: tenths / 10)
    kinds = draw(st.lists(st.sampled_from([*TYPES, None]), min_size=1, max_size=3, unique=True))
    options = tuple(
        Option(
            name=f"{name}-{kind}",
            gpu_type=kind,
            gpus=draw(st.sampled_from([1, 1, 2])) if kind else 0,
            vcpu=draw(st.sampled_from([1.0, 2.5, 4.0])),
            memory_gib=draw(st.sampled_from([3.0, 9.0, 14.0])),
            shards=draw(st.sampled_from([1, 1, 1, 2])),
            requests_per_second=tuple(draw(rates) for _ in range(buckets)),
        )
        for kind in kinds
    )
    return Workload(
        name=name,
        options=options,
        demand=tuple(draw(st.integers(0, 30)) / 10 for _ in range(buckets)),
        min_replicas=draw(st.integers(0, 2)),
        max_options=draw(st.sampled_from([None, None, 1])),
        spread=Spread(
            max_per_node=draw(st.sampled_from([None, None, 2])), min_zones=draw(st.sampled_from([1, 1, 1, 2]))
        ),
        spot=draw(
            st.none() | st.builds(SpotRule, floor_replicas=st.integers(0, 1), floor_fraction=st.sampled_from([0, 0.5]))
        ),
    )


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    return Problem(
        pools=tuple(draw(pools(f"pool-{index}")) for index in range(draw(st.integers(1, 4)))),
        workloads=tuple(draw(workloads(f"model-{index}")) for index in range(draw(st.integers(1, 2)))),
        applications=draw(st.sampled_from([(), (Application(name="web", replicas=2, vcpu=1.5, memory_gib=2),)])),
        caps=tuple(draw(st.lists(st.sampled_from(CAPS), unique=True))),
    )


def optimum(problem: Problem) -> float:
    """The least cost, infinite where there is no plan."""
    result = allocate(problem, node_limit=20_000)
    if not isinstance(result, Allocation):
        return float("inf")
    return result.usd_per_hour


def settled(problem: Problem) -> bool:
    """Whether the optimum, or that there is none, is proven: a law of optima says nothing about a search cut short."""
    result = allocate(problem, node_limit=20_000)
    return result.gap < 1e-6 if isinstance(result, Allocation) else result.proven


@LAW
@given(problems(), st.sampled_from(["highs", "greedy"]), st.sampled_from(["cost", "owned"]))
def test_every_plan_fits(problem: Problem, solver: str, objective: str) -> None:
    result = allocate(replace(problem, objective=objective), solver=solver)  # type: ignore[arg-type]
    if isinstance(result, Allocation):
        assert violations(replace(problem, objective=objective), result) == []  # type: ignore[arg-type]


@LAW
@given(problems())
def test_greedy_is_never_below_the_optimum_and_finds_nothing_where_there_is_nothing(problem: Problem) -> None:
    exact, greedy = allocate(problem), allocate(problem, solver="greedy")
    if isinstance(greedy, Allocation):
        assert isinstance(exact, Allocation)
        assert exact.bound <= greedy.usd_per_hour + 1e-6
        assert exact.usd_per_hour <= greedy.usd_per_hour + 1e-9


@LAW
@given(problems(), st.data())
def test_raising_a_price_never_lowers_the_optimum(problem: Problem, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(problem.pools) - 1))
    pool = problem.pools[index]
    dearer = replace(pool, usd_per_hour=(pool.usd_per_hour or 0) + data.draw(PRICES))
    changed = replace(problem, pools=(*problem.pools[:index], dearer, *problem.pools[index + 1 :]))
    if settled(problem) and settled(changed):
        assert optimum(changed) >= optimum(problem) - 1e-6


@LAW
@given(problems(), st.integers(1, 4))
def test_looser_caps_never_make_it_dearer_or_impossible(problem: Problem, more: int) -> None:
    caps = tuple(replace(cap, limit=cap.limit + more) for cap in problem.caps)
    wider = tuple(
        replace(pool, max_rented_nodes=None if pool.max_rented_nodes is None else pool.max_rented_nodes + more)
        for pool in problem.pools
    )
    looser = replace(problem, caps=caps, pools=wider)
    if settled(problem) and settled(looser):
        assert optimum(looser) <= optimum(problem) + 1e-6


@LAW
@given(problems(), st.integers(11, 20))
def test_faster_options_never_make_it_dearer_or_impossible(problem: Problem, tenths: int) -> None:
    faster = tuple(
        replace(workload, options=tuple(
            replace(option, requests_per_second=tuple(rate * tenths / 10 for rate in option.requests_per_second))
            for option in workload.options
        ))
        for workload in problem.workloads
    )  # fmt: skip
    changed = replace(problem, workloads=faster)
    if settled(problem) and settled(changed):
        assert optimum(changed) <= optimum(problem) + 1e-6


@LAW
@given(problems(), st.integers(0, 10_000))
def test_the_order_of_the_input_does_not_matter(problem: Problem, seed: int) -> None:
    def shuffled(values: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(random.Random(seed).sample(values, len(values)))

    workloads_ = tuple(replace(workload, options=shuffled(workload.options)) for workload in problem.workloads)
    other = replace(problem, pools=shuffled(problem.pools), workloads=shuffled(workloads_), caps=shuffled(problem.caps))
    assert allocate(other) == allocate(problem)


@LAW
@given(problems(), st.integers(0, 10_000))
def test_the_order_of_the_buckets_does_not_matter(problem: Problem, seed: int) -> None:
    def shuffled(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(random.Random(seed).sample(values, len(values)))

    workloads_ = tuple(
        replace(workload, demand=shuffled(workload.demand), options=tuple(
            replace(option, requests_per_second=shuffled(option.requests_per_second)) for option in workload.options
        ))
        for workload in problem.workloads
    )  # fmt: skip
    before, after = allocate(problem), allocate(replace(problem, workloads=workloads_))
    assert isinstance(before, Allocation) == isinstance(after, Allocation)
    if isinstance(before, Allocation) and isinstance(after, Allocation):
        assert after.usd_per_hour == pytest.approx(before.usd_per_hour)


@LAW
@given(problems())
def test_names_do_not_matter(problem: Problem) -> None:
    def renamed(name: str) -> str:
        return name[::-1]

    other = replace(
        problem,
        pools=tuple(replace(pool, name=renamed(pool.name)) for pool in problem.pools),
        workloads=tuple(
            replace(w, name=renamed(w.name), options=tuple(replace(o, name=renamed(o.name)) for o in w.options))
            for w in problem.workloads
        ),
        caps=tuple(replace(cap, name=renamed(cap.name)) for cap in problem.caps),
    )
    before, after = allocate(problem), allocate(other)
    assert isinstance(before, Allocation) == isinstance(after, Allocation)
    if isinstance(before, Allocation) and isinstance(after, Allocation):
        assert after.usd_per_hour == pytest.approx(before.usd_per_hour)
        if len({replace(pool, name="") for pool in problem.pools}) == len(problem.pools):
            nodes = sorted((renamed(node.pool), node.purchase, node.zone or "") for node in after.nodes)
            assert nodes == sorted((node.pool, node.purchase, node.zone or "") for node in before.nodes)


@LAW
@given(problems())
def test_looking_at_the_cheapest_options_first_changes_no_cost(problem: Problem) -> None:
    with mock.patch.object(shortlist, "_ENOUGH_ITEMS", 1), mock.patch.object(shortlist, "_KEPT", 1):
        listed = allocate(problem)
    plain = allocate(problem)
    assert isinstance(listed, Allocation) == isinstance(plain, Allocation)
    if isinstance(listed, Allocation) and isinstance(plain, Allocation):
        assert violations(problem, listed) == []
        assert listed.usd_per_hour == pytest.approx(plain.usd_per_hour, rel=1e-5)
