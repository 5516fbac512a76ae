"""What makes a problem contradict itself, one fault per mistake."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from planner.faults import Fault

if TYPE_CHECKING:
    from planner.allocation.problem import Application, Cap, Pool, Problem, SpotRule, Spread, Workload

__all__ = ["problem_faults"]


def _fault(where: str, what: str, fix: str) -> Fault:
    return Fault(where=f"allocation: {where}", what=what, fix=fix)


def _negative(where: str, values: Iterable[tuple[str, float | None]]) -> Iterator[Fault]:
    for field, value in values:
        if value is not None and not (value >= 0 and math.isfinite(value)):
            yield _fault(where, f"{field} is {value}", f"give a finite {field} of 0 or more")


def problem_faults(problem: Problem) -> list[Fault]:
    """Every fault of the problem, in the order of its fields; an empty list means it can be solved or refused."""
    faults: list[Fault] = []
    owners = [(w.name, "workloads") for w in problem.workloads] + [
        (a.name, "applications") for a in problem.applications
    ]
    for kind, names in (
        ("pools", [pool.name for pool in problem.pools]),
        ("workloads and applications", [name for name, _ in owners]),
        ("caps", [cap.name for cap in problem.caps]),
    ):
        faults += [
            _fault(f"{kind}.{name}", f"the name occurs {times} times", "give each a name of its own")
            for name, times in Counter(names).items()
            if times > 1
        ]
    for pool in problem.pools:
        faults += _pool_faults(pool)
    for workload in problem.workloads:
        faults += _workload_faults(workload, problem)
    for application in problem.applications:
        faults += _application_faults(application, problem)
    for cap in problem.caps:
        faults += _cap_faults(cap, problem)
    return faults


def _pool_faults(pool: Pool) -> Iterator[Fault]:
    where = f"pools.{pool.name}"
    yield from _negative(where, [
        ("vcpu", pool.vcpu), ("memory_gib", pool.memory_gib), ("gpus", pool.gpus), ("usd_per_hour", pool.usd_per_hour),
        ("spot_usd_per_hour", pool.spot_usd_per_hour), ("list_usd_per_hour", pool.list_usd_per_hour),
        ("owned_nodes", pool.owned_nodes),
        ("owned_usd_per_hour", pool.owned_usd_per_hour), ("max_rented_nodes", pool.max_rented_nodes),
    ])  # fmt: skip
    if (pool.gpus > 0) != (pool.gpu_type is not None):
        yield _fault(
            where, f"gpus is {pool.gpus} but gpu_type is {pool.gpu_type}", "give both, or neither for a CPU node"
        )


def _workload_faults(workload: Workload, problem: Problem) -> Iterator[Fault]:
    where = f"workloads.{workload.name}"
    yield from _negative(where, [("demand", value) for value in workload.demand])
    yield from _negative(where, [("min_replicas", workload.min_replicas)])
    if workload.max_replicas is not None and workload.max_replicas < workload.min_replicas:
        yield _fault(where, f"max_replicas {workload.max_replicas} is below min_replicas {workload.min_replicas}",
                     "raise max_replicas or lower min_replicas")  # fmt: skip
    if workload.max_options is not None and workload.max_options < 1:
        yield _fault(where, f"max_options is {workload.max_options}", "give 1 or more, or leave it out for any mix")
    if not workload.options:
        yield _fault(
            where, "it has no option: nothing says how to run it", "give at least one configuration of a replica"
        )
    known = {pool.name for pool in problem.pools}
    if len({option.name for option in workload.options}) < len(workload.options):
        yield _fault(where, "two options share a name", "give each option a name of its own")
    for option in workload.options:
        place = f"{where}.options.{option.name}"
        yield from _negative(place, [("requests_per_second", value) for value in option.requests_per_second])
        yield from _negative(place, [("gpus", option.gpus), ("vcpu", option.vcpu), ("memory_gib", option.memory_gib)])
        if option.shards < 1:
            yield _fault(place, f"shards is {option.shards}", "give 1, or the number of pipeline stages")
        if (option.gpus > 0) != (option.gpu_type is not None):
            yield _fault(
                place, f"gpus is {option.gpus} but gpu_type is {option.gpu_type}", "give both, or neither for CPU"
            )
        if len(option.requests_per_second) != len(workload.demand):
            yield _fault(place, f"{len(option.requests_per_second)} rates for {len(workload.demand)} buckets of demand",
                         "give one rate per bucket")  # fmt: skip
        for name in sorted(set(option.pools or ()) - known):
            yield _fault(place, f"pool {name} does not exist", f"name one of: {', '.join(sorted(known))}")
    yield from _placement_faults(where, workload.spread, workload.spot)


def _application_faults(application: Application, problem: Problem) -> Iterator[Fault]:
    where = f"applications.{application.name}"
    yield from _negative(where, [
        ("replicas", application.replicas), ("vcpu", application.vcpu), ("memory_gib", application.memory_gib),
    ])  # fmt: skip
    known = {pool.name for pool in problem.pools}
    for name in sorted(set(application.pools or ()) - known):
        yield _fault(where, f"pool {name} does not exist", f"name one of: {', '.join(sorted(known))}")
    yield from _placement_faults(where, application.spread, application.spot)


def _placement_faults(where: str, spread: Spread, spot: SpotRule | None) -> Iterator[Fault]:
    if spread.max_per_node is not None and spread.max_per_node < 1:
        yield _fault(where, f"spread.max_per_node is {spread.max_per_node}", "give 1 or more, or leave it out")
    if spread.min_zones < 1:
        yield _fault(where, f"spread.min_zones is {spread.min_zones}", "give 1 or more")
    if spot is not None and not (0 <= spot.floor_fraction <= 1 and spot.floor_replicas >= 0):
        yield _fault(where, f"spot floor of {spot.floor_replicas} replicas and a share of {spot.floor_fraction}",
                     "give 0 or more replicas and a share of 0 to 1")  # fmt: skip


def _cap_faults(cap: Cap, problem: Problem) -> Iterator[Fault]:
    where = f"caps.{cap.name}"
    yield from _negative(where, [("limit", cap.limit)])
    known = {pool.name for pool in problem.pools}
    for name in sorted(set(cap.pools or ()) - known):
        yield _fault(where, f"pool {name} does not exist", f"name one of: {', '.join(sorted(known))}")
