"""What else could have been chosen, and what each constraint costs: the reasons that go with an allocation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from planner.allocation.allocate import allocate
from planner.allocation.levers import levers_of
from planner.allocation.problem import Problem, Workload
from planner.allocation.result import Allocation, Choice, Constraint, Infeasible

__all__ = ["Alternative", "Binding", "binding_constraints", "cheapest_of", "runner_up", "single_type_costs"]

_SAVING = 1e-6

Solve = Callable[[Problem], Allocation | Infeasible]


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """The best plan in which a workload does not use one option.

    Attributes:
        without: the option that is left out.
        choices: what the workload uses instead.
        usd_per_hour: cost of the whole plan, not only of this workload.
    """

    workload: str
    without: str
    choices: tuple[Choice, ...]
    usd_per_hour: float


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A constraint that costs something: without it the plan would cost `usd_per_hour_without`."""

    constraint: Constraint
    current: float
    unit: str
    usd_per_hour_without: float


def runner_up(
    problem: Problem, allocation: Allocation, workload: str, *, solve: Solve = allocate
) -> Alternative | None:
    """The cheapest plan that does without one of the options the workload uses; ``None``: there is no other way."""
    found = []
    for choice in allocation.of(workload):
        other = _solved_with(problem, workload, lambda option, name=choice.option: option != name, solve)
        if other is not None:
            found.append(Alternative(
                workload=workload, without=choice.option, choices=other.of(workload), usd_per_hour=other.usd_per_hour
            ))  # fmt: skip
    return min(found, key=lambda alternative: alternative.usd_per_hour, default=None)


def single_type_costs(problem: Problem, workload: str, *, solve: Solve = allocate) -> dict[str, float | None]:
    """USD per hour of the whole plan when the workload may use one GPU type only (``cpu`` for none), by type;
    ``None``: no plan."""
    options = next(w.options for w in problem.workloads if w.name == workload)
    costs: dict[str, float | None] = {}
    for gpu_type in sorted({option.gpu_type or "cpu" for option in options}):
        names = {option.name for option in options if (option.gpu_type or "cpu") == gpu_type}
        found = _solved_with(problem, workload, lambda option, names=names: option in names, solve)
        costs[gpu_type] = found.usd_per_hour if found else None
    return costs


def _solved_with(problem: Problem, workload: str, allowed: Callable[[str], bool], solve: Solve) -> Allocation | None:
    def kept(candidate: Workload) -> Workload:
        if candidate.name != workload:
            return candidate
        return replace(candidate, options=tuple(option for option in candidate.options if allowed(option.name)))

    workloads = tuple(kept(candidate) for candidate in problem.workloads)
    if not all(candidate.options for candidate in workloads):
        return None
    found = solve(replace(problem, workloads=workloads))
    return found if isinstance(found, Allocation) else None


def binding_constraints(problem: Problem, allocation: Allocation, *, solve: Solve = allocate) -> tuple[Binding, ...]:
    """Constraints that make the plan dearer than it would be without them, the dearest first; demand is left out."""
    found = []
    for lever in levers_of(problem):
        if lever.constraint.kind in {"demand", "replicas"}:
            continue
        other = solve(lever.dropped(problem))
        if isinstance(other, Allocation) and other.usd_per_hour < allocation.usd_per_hour * (1 - _SAVING) - _SAVING:
            found.append(Binding(
                constraint=lever.constraint, current=lever.current, unit=lever.unit,
                usd_per_hour_without=other.usd_per_hour
            ))  # fmt: skip
    return tuple(sorted(found, key=lambda binding: (binding.usd_per_hour_without, binding.constraint)))


def cheapest_of(variants: Mapping[str, Problem], *, solve: Solve = allocate) -> list[tuple[str, Allocation]]:
    """Named variants of a problem that have a plan ("with fp8", "TTFT 640 ms"), cheapest first."""
    solved = ((name, solve(problem)) for name, problem in variants.items())
    found = [(name, result) for name, result in solved if isinstance(result, Allocation)]
    return sorted(found, key=lambda pair: (pair[1].usd_per_hour, pair[0]))
