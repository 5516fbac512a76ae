"""Results in words."""

from __future__ import annotations

import math
from collections import Counter

from planner.allocation.problem import HOURS_PER_MONTH
from planner.allocation.result import Allocation, Constraint, Infeasible, Relaxation

__all__ = ["describe", "describe_constraint", "describe_relaxation"]

_WORDS = {
    "demand": "demand of {name}",
    "min_replicas": "minimum replicas of {name}",
    "max_replicas": "maximum replicas of {name}",
    "max_options": "number of hardware options {name} may mix",
    "whole_buckets": "request sizes of {name} kept whole",
    "replicas": "replicas of {name}",
    "max_per_node": "pods of {name} per node",
    "min_zones": "zones of {name}",
    "spot_floor_replicas": "replicas of {name} kept off spot",
    "spot_floor_fraction": "share of {name} kept off spot",
    "cap": "{name}",
}
_UNITS = {"memory_gib": "GiB", "vcpu": "vCPU", "gpus": "GPUs"}


def describe_constraint(constraint: Constraint) -> str:
    """What a person calls it, e.g. ``minimum replicas of chat``."""
    return _WORDS[constraint.kind].format(name=constraint.name)


def describe_relaxation(relaxation: Relaxation) -> str:
    """The change in one line, e.g. ``budget 2000 -> 2340 USD/month``; budgets by month, rounded up to suffice."""
    name = describe_constraint(relaxation.constraint)
    monthly = relaxation.unit.endswith("usd_per_hour")
    plain = _UNITS.get(relaxation.unit, relaxation.unit)
    scale, unit, step = (HOURS_PER_MONTH, "USD/month", 1.0) if monthly else (1, plain, 0.001)
    current = f"{relaxation.current * scale:,.10g}"
    if relaxation.needed is None:
        return f"{name}: no value of it is enough (now {current} {unit})"
    steps = round(relaxation.needed * scale / step, 6)
    # Rounded to the side that still works.
    enough = math.ceil(steps) if relaxation.needed > relaxation.current else math.floor(steps)
    return f"{name} {current} -> {round(enough * step, 3):,.10g} {unit}"


def describe(result: Allocation | Infeasible) -> str:
    """The result in a few lines: nodes, replicas, cost and proof; or the conflicts and what would resolve them."""
    return _allocation(result) if isinstance(result, Allocation) else _infeasible(result)


def _allocation(allocation: Allocation) -> str:
    lines = []
    nodes = Counter((node.pool, node.purchase, node.usd_per_hour) for node in allocation.nodes)
    for (pool, purchase, price), count in sorted(nodes.items()):
        lines.append(f"{count} x {pool} {purchase} at {price:.3f} USD/h")
    for choice in allocation.choices:
        busy = f", {choice.load / choice.replicas:.0%} busy" if choice.load else ""
        lines.append(f"{choice.workload}: {choice.replicas} x {choice.option}{busy}")
    proof = "optimal" if allocation.gap < 1e-4 else f"within {allocation.gap:.1%} of the optimum"
    if allocation.bound == float("-inf"):
        proof = "nothing proven"
    month = allocation.usd_per_hour * HOURS_PER_MONTH
    lines.append(f"{allocation.usd_per_hour:.2f} USD/h, {month:,.0f} USD/month, {proof} ({allocation.solver})")
    return "\n".join(lines)


def _infeasible(result: Infeasible) -> str:
    if not result.proven:
        return f"{result.solver} found no plan, which does not prove that there is none"
    lines = []
    for conflict in result.conflicts:
        names = " and ".join(describe_constraint(relaxation.constraint) for relaxation in conflict.relaxations)
        lines.append(f"no plan satisfies {names}" + (" together" if len(conflict.relaxations) > 1 else ""))
        enough = [relaxation for relaxation in conflict.relaxations if relaxation.needed is not None]
        lines += [f"  {describe_relaxation(relaxation)}" for relaxation in enough or conflict.relaxations]
    return "\n".join(lines) or "no plan exists"
