"""Why there is no plan: the constraints that contradict each other, and the least change of each that would do.

A conflict is an irreducible set found by the deletion filter (Chinneck and Dravnieks, "Locating minimal infeasible
constraint sets in linear programs", ORSA Journal on Computing 3, 1991): constraints leave one after another as long
as what is left still contradicts itself. Constraints are the ones that people write, whole, not rows of a matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from planner.allocation.allocate import allocate
from planner.allocation.layout import Site, amount
from planner.allocation.levers import Lever, levers_of
from planner.allocation.problem import Cap, Problem
from planner.allocation.result import Allocation, Conflict, Relaxation

__all__ = ["find_conflicts"]

_MAX_CONFLICTS = 5
_FEASIBILITY_GAP = 10.0
"""Any plan will do when the question is whether there is one."""


def find_conflicts(problem: Problem) -> tuple[Conflict, ...]:
    """The conflicts of a problem without a plan; all of them must be resolved, each by changing one of its constraints.

    Conflicts after the first are looked for with the last constraint of each earlier one taken away (caps come
    last). What is stated for a constraint holds once the other conflicts are resolved by theirs.
    """
    levers = levers_of(problem)
    cores: list[list[Lever]] = []
    while len(cores) < _MAX_CONFLICTS:
        given_up = [core[-1] for core in cores]
        core = _irreducible(_without(problem, given_up), [lever for lever in levers if lever not in given_up])
        if not core:
            break
        cores.append(core)
    conflicts = []
    for core in cores:
        others = [other[-1] for other in cores if other is not core and other[-1] not in core]
        alone = _without(problem, others)
        conflicts.append(Conflict(relaxations=tuple(_relaxation(alone, lever) for lever in core)))
    return tuple(conflicts)


def _without(problem: Problem, levers: list[Lever]) -> Problem:
    for lever in levers:
        problem = lever.dropped(problem)
    return problem


def _has_plan(problem: Problem) -> bool:
    """Whether there is a plan; one that could neither be found nor excluded counts as there."""
    found = allocate(problem, relative_gap=_FEASIBILITY_GAP)
    return isinstance(found, Allocation) or not found.proven


def _irreducible(problem: Problem, levers: list[Lever]) -> list[Lever]:
    """A set that has no plan, though it has one without any of its members; empty: there is a plan."""
    if _has_plan(problem) or not _has_plan(_without(problem, levers)):
        return []
    kept = list(levers)
    # Whole workloads first: most have nothing to do with the conflict, and every later step is smaller for it.
    for name in sorted({lever.constraint.name for lever in levers if lever.cap is None}):
        fewer = [lever for lever in kept if lever.constraint.name != name]
        if not _has_plan(_without(problem, _missing(levers, fewer))):
            kept = fewer
    for lever in list(kept):
        fewer = [other for other in kept if other is not lever]
        if not _has_plan(_without(problem, _missing(levers, fewer))):
            kept = fewer
    return kept


def _missing(levers: list[Lever], kept: list[Lever]) -> list[Lever]:
    return [lever for lever in levers if lever not in kept]


def _relaxation(problem: Problem, lever: Lever) -> Relaxation:
    needed, usd = _needed_step(problem, lever) if lever.cap is None else _needed_cap(problem, lever, lever.cap)
    return Relaxation(
        constraint=lever.constraint, current=lever.current, needed=needed, unit=lever.unit, usd_per_hour=usd
    )


def _needed_cap(problem: Problem, lever: Lever, cap: Cap) -> tuple[float | None, float | None]:
    found = allocate(lever.dropped(problem), price=partial(_use, cap))
    if not isinstance(found, Allocation):
        return None, None
    loosened = lever.apply(problem, found.objective)
    return found.objective, _cost(loosened)


def _use(cap: Cap, site: Site) -> float:
    return amount(site, cap.unit) if cap.counts(site.pool.name, site.purchase) else 0.0


def _cost(problem: Problem) -> float | None:
    found = allocate(problem)
    return found.usd_per_hour if isinstance(found, Allocation) else None


def _needed_step(problem: Problem, lever: Lever) -> tuple[float | None, float | None]:
    """Bisection over the steps of a lever: the more it gives, the more plans there are."""
    free = allocate(lever.dropped(problem), relative_gap=_FEASIBILITY_GAP)
    if not isinstance(free, Allocation):
        return None, None
    value: Callable[[int], float] = lever.at
    low, high = 0, lever.steps
    if lever.loosest is None:
        # Upwards without an end: the plan found without the constraint says what is enough.
        replicas = sum(choice.replicas for choice in free.of(lever.constraint.name))
        pods = sum(p.count for node in free.nodes for p in node.pods if p.workload == lever.constraint.name)
        high = max(replicas, pods) - round(lever.current)
        value = partial(_upwards, lever.current)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _has_plan(lever.apply(problem, value(middle))) else (middle, high)
    return value(high), _cost(lever.apply(problem, value(high)))


def _upwards(current: float, step: int) -> float:
    return current + step
