"""Which nodes to get and which replica runs on which, with reasons (docs/allocation.md).

problem = Problem(pools=..., workloads=..., applications=..., caps=...)
result = solve(problem)             # Allocation, or Infeasible with the conflicting constraints
"""

from planner.allocation.allocate import Solver, allocate
from planner.allocation.alternatives import (
    Alternative,
    Binding,
    binding_constraints,
    cheapest_of,
    runner_up,
    single_type_costs,
)
from planner.allocation.apart import allocate_apart
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
from planner.allocation.solve import solve
from planner.allocation.text import describe, describe_constraint, describe_relaxation
from planner.allocation.verify import violations

__all__ = [
    "HOURS_PER_MONTH",
    "Allocation",
    "Alternative",
    "Application",
    "Binding",
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
    "Solver",
    "SpotRule",
    "Spread",
    "Workload",
    "allocate",
    "allocate_apart",
    "binding_constraints",
    "cheapest_of",
    "describe",
    "describe_constraint",
    "describe_relaxation",
    "runner_up",
    "single_type_costs",
    "solve",
    "violations",
]
