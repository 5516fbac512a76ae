"""Which nodes to get and which replica runs on which: cost or owned capacity, with reasons (docs/allocation.md).

    problem = Problem(pools=..., workloads=..., applications=..., caps=...)
    result = solve(problem)             # Allocation, or Infeasible with the conflicting constraints
"""

from planner.allocation.problem import (
    HOURS_PER_MONTH,
    Application,
    Cap,
    Option,
    Pool,
    Problem,
    SpotRule,
    Spread,
    Workload,
)
from planner.allocation.result import (
    Allocation,
    Choice,
    Conflict,
    Constraint,
    Infeasible,
    Node,
    Pods,
    Relaxation,
)
from planner.allocation.solve import allocate
from planner.allocation.verify import violations

__all__ = [
    "HOURS_PER_MONTH",
    "Allocation",
    "Application",
    "Cap",
    "Choice",
    "Conflict",
    "Constraint",
    "Infeasible",
    "Node",
    "Option",
    "Pods",
    "Pool",
    "Problem",
    "Relaxation",
    "SpotRule",
    "Spread",
    "Workload",
    "allocate",
    "violations",
]
