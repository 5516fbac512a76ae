"""What the input demands and how far each demand could give: the named constraints that a conflict is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from planner.allocation.problem import Application, Cap, Problem, SpotRule, Spread, Workload
from planner.allocation.result import Constraint

__all__ = ["Lever", "levers_of"]

_DEMAND_STEPS = 100
_FRACTION_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One constraint and how to loosen it.

    Attributes:
        current: its value in the input; `unit` says of what.
        loosest: the value at which it no longer constrains; ``None``: it has none, and `dropped` takes it away.
        steps: number of equal steps from `current` to `loosest`.
        apply: the problem with another value of this constraint.
        dropped: the problem without it.
        cap: the cap behind it, if it is one.
    """

    constraint: Constraint
    unit: str
    current: float
    loosest: float | None
    steps: int
    apply: Callable[[Problem, float], Problem]
    dropped: Callable[[Problem], Problem]
    cap: Cap | None = None

    def at(self, step: int) -> float:
        """The value after some of the steps."""
        loosest = self.current if self.loosest is None else self.loosest
        return self.current + (loosest - self.current) * step / max(1, self.steps)


def levers_of(problem: Problem) -> list[Lever]:
    """All constraints of a problem, caps last: a conflict should name what people change most easily."""
    levers = [lever for workload in problem.workloads for lever in _workload_levers(workload)]
    levers += [lever for application in problem.applications for lever in _application_levers(application)]
    rank = ["whole_buckets", "max_options", "max_per_node", "min_zones", "spot_floor_fraction", "spot_floor_replicas",
            "max_replicas", "min_replicas", "replicas", "demand"]  # fmt: skip
    levers.sort(key=lambda lever: (rank.index(lever.constraint.kind), lever.constraint.name))
    return levers + [_cap_lever(cap) for cap in sorted(problem.all_caps(), key=lambda cap: cap.name)]


def _changed(problem: Problem, name: str, **fields: object) -> Problem:
    workloads = tuple(replace(w, **fields) if w.name == name else w for w in problem.workloads)
    applications = tuple(replace(a, **fields) if a.name == name else a for a in problem.applications)
    return replace(problem, workloads=workloads, applications=applications)


def _lever(
    kind: str,
    name: str,
    unit: str,
    current: float,
    loosest: float | None,
    steps: int,
    fields: Callable[[float | None], dict[str, object]],
) -> Lever:
    return Lever(
        constraint=Constraint(kind=kind, name=name), unit=unit, current=current, loosest=loosest, steps=steps,
        apply=lambda problem, value: _changed(problem, name, **fields(value)),
        dropped=lambda problem: _changed(problem, name, **fields(loosest)),
    )  # fmt: skip


def _count(value: float | None) -> int | None:
    return None if value is None else round(value)


def _workload_levers(workload: Workload) -> Iterator[Lever]:
    name, demand = workload.name, workload.demand
    total = sum(demand)
    if total > 0:
        yield _lever("demand", name, "requests/s", total, 0.0, _DEMAND_STEPS,
                     lambda value: {"demand": tuple(d * (value or 0.0) / total for d in demand)})  # fmt: skip
    if workload.min_replicas > 0:
        yield _lever("min_replicas", name, "replicas", workload.min_replicas, 0, workload.min_replicas,
                     lambda value: {"min_replicas": _count(value)})  # fmt: skip
    if workload.max_replicas is not None:
        yield _lever("max_replicas", name, "replicas", workload.max_replicas, None, 0,
                     lambda value: {"max_replicas": _count(value)})  # fmt: skip
    if workload.max_options is not None and workload.max_options < len(workload.options):
        known = len(workload.options)
        yield _lever("max_options", name, "options", workload.max_options, known, known - workload.max_options,
                     lambda value: {"max_options": _count(value)})  # fmt: skip
    if workload.whole_buckets:
        yield _lever("whole_buckets", name, "whole buckets", 1, 0, 1, lambda value: {"whole_buckets": bool(value)})
    yield from _placement_levers(name, workload.spread, workload.spot)


def _application_levers(application: Application) -> Iterator[Lever]:
    if application.replicas > 0:
        yield _lever("replicas", application.name, "replicas", application.replicas, 0, application.replicas,
                     lambda value: {"replicas": _count(value)})  # fmt: skip
    yield from _placement_levers(application.name, application.spread, application.spot)


def _placement_levers(name: str, spread: Spread, spot: SpotRule | None) -> Iterator[Lever]:
    if spread.max_per_node is not None:
        yield _lever("max_per_node", name, "pods per node", spread.max_per_node, None, 0,
                     lambda value: {"spread": replace(spread, max_per_node=_count(value))})  # fmt: skip
    if spread.min_zones > 1:
        yield _lever("min_zones", name, "zones", spread.min_zones, 1, spread.min_zones - 1,
                     lambda value: {"spread": replace(spread, min_zones=_count(value))})  # fmt: skip
    if spot is not None and spot.floor_replicas > 0:
        yield _lever("spot_floor_replicas", name, "replicas off spot", spot.floor_replicas, 0, spot.floor_replicas,
                     lambda value: {"spot": replace(spot, floor_replicas=_count(value))})  # fmt: skip
    if spot is not None and spot.floor_fraction > 0:
        yield _lever("spot_floor_fraction", name, "share off spot", spot.floor_fraction, 0.0, _FRACTION_STEPS,
                     lambda value: {"spot": replace(spot, floor_fraction=value)})  # fmt: skip


def _cap_lever(cap: Cap) -> Lever:
    def apply(problem: Problem, value: float | None) -> Problem:
        caps = tuple(
            replace(c, limit=value) if c.name == cap.name else c
            for c in problem.caps
            if c.name != cap.name or value is not None
        )
        pools = tuple(
            replace(pool, max_rented_nodes=_count(value)) if f"quota {pool.name}" == cap.name else pool
            for pool in problem.pools
        )
        return replace(problem, caps=caps, pools=pools)

    return Lever(
        constraint=Constraint(kind="cap", name=cap.name), unit=cap.unit, current=cap.limit, loosest=None, steps=0,
        apply=apply, dropped=lambda problem: apply(problem, None), cap=cap,
    )  # fmt: skip
