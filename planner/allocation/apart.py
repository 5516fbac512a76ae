"""Models and applications one after the other, where no cap keeps them from it: two small programs instead of one."""

from __future__ import annotations

from dataclasses import replace

from planner.allocation.allocate import DEFAULT_RELATIVE_GAP, Solver, allocate
from planner.allocation.problem import Problem
from planner.allocation.result import Allocation, Infeasible
from planner.allocation.verify import violations

__all__ = ["allocate_apart"]


def allocate_apart(
    problem: Problem, *, solver: Solver = "highs", relative_gap: float = DEFAULT_RELATIVE_GAP
) -> Allocation | Infeasible:
    """As `allocate`. Workloads on GPUs and pods without one never share a node, so only caps couple them: where the two
    optima together keep every cap they are the optimum, and what has no plan alone has none together. Otherwise, and
    where a workload may run without a GPU, the whole is one program."""
    alone = not any(option.gpus == 0 for workload in problem.workloads for option in workload.options)
    shared = any(pool.gpus and pool.takes_cpu_pods() for pool in problem.pools)
    if not (alone and problem.workloads and problem.applications) or shared:
        return allocate(problem, solver=solver, relative_gap=relative_gap)
    models = allocate(replace(problem, applications=()), solver=solver, relative_gap=relative_gap)
    if isinstance(models, Infeasible):
        return models
    applications = allocate(replace(problem, workloads=()), solver=solver, relative_gap=relative_gap)
    if isinstance(applications, Infeasible):
        return applications
    both = replace(
        models,
        usd_per_hour=models.usd_per_hour + applications.usd_per_hour,
        objective=models.objective + applications.objective,
        bound=models.bound + applications.bound,
        solver=models.solver if models.solver == applications.solver else f"{models.solver}, {applications.solver}",
        nodes=models.nodes + applications.nodes,
        choices=models.choices + applications.choices,
        search_nodes=models.search_nodes + applications.search_nodes,
        rounds=max(models.rounds, applications.rounds),
        fallback=models.fallback or applications.fallback,
    )
    return allocate(problem, solver=solver, relative_gap=relative_gap) if violations(problem, both) else both
