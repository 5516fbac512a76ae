"""The front door: a plan, or the reasons why there is none."""

from __future__ import annotations

from dataclasses import replace

from planner.allocation.allocate import DEFAULT_RELATIVE_GAP, Solver, allocate
from planner.allocation.conflicts import find_conflicts
from planner.allocation.problem import Problem
from planner.allocation.result import Allocation, Infeasible

__all__ = ["solve"]


def solve(
    problem: Problem,
    *,
    solver: Solver = "highs",
    relative_gap: float = DEFAULT_RELATIVE_GAP,
    node_limit: int | None = None,
) -> Allocation | Infeasible:
    """An allocation; or, when it is proven that there is none, the conflicting constraints and what would resolve them.

    Arguments as for `allocate`. The reasons cost some tens of further, small programs.
    """
    result = allocate(problem, solver=solver, relative_gap=relative_gap, node_limit=node_limit)
    if isinstance(result, Infeasible) and result.proven:
        return replace(result, conflicts=find_conflicts(problem))
    return result
