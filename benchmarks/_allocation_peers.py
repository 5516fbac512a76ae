"""Other ways to solve an allocation: CBC, the published form of Mélange, HiGHS through scipy."""

from __future__ import annotations

import math

import pulp
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from benchmarks._allocation_instances import Instance
from planner.allocation.allocate import DEFAULT_RELATIVE_GAP
from planner.allocation.program import Program

__all__ = ["solve_melange", "solve_under_cbc", "solve_under_scipy"]

_SLICES_PER_BUCKET = 4
"""Mélange's own advice: 4 is enough in most cases (its README)."""
_CBC_SECONDS = 15


def solve_under_cbc(program: Program) -> float:
    """Objective of our program under CBC, infinite when it finds nothing in its time."""
    model = pulp.LpProblem("ours", pulp.LpMinimize)
    kinds = (pulp.LpContinuous, pulp.LpInteger)
    columns = [
        model.add_variable(f"c{index}", lower, None if math.isinf(upper) else upper, kinds[int(integer)])
        for index, (lower, upper, integer) in enumerate(zip(program.lower, program.upper, program.integer, strict=True))
    ]
    model += pulp.LpAffineExpression((column, c) for column, c in zip(columns, program.cost, strict=True) if c)
    for row, (lower, upper) in enumerate(zip(program.row_lower, program.row_upper, strict=True)):
        span = slice(program.starts[row], program.starts[row + 1])
        terms = pulp.LpAffineExpression(
            (columns[i], float(value)) for i, value in zip(program.indices[span], program.values[span], strict=True)
        )
        if lower == upper:
            model += terms == lower
        elif math.isfinite(upper):
            model += terms <= upper
        if lower != upper and math.isfinite(lower):
            model += terms >= lower
    return _cbc(model)


def solve_melange(instance: Instance) -> float:
    """Objective of the published form: each slice of a bucket goes to one GPU type, GPUs of a type carry its slices."""
    model = pulp.LpProblem("melange", pulp.LpMinimize)
    gpus = [model.add_variable(f"n{t}", 0, cat=pulp.LpInteger) for t in range(len(instance.prices))]
    model += pulp.lpSum(float(price) * count for price, count in zip(instance.prices, gpus, strict=True))
    carried: list[list[tuple[pulp.LpVariable, float]]] = [[] for _ in gpus]
    for bucket, demand in enumerate(instance.demand):
        able = [t for t in range(len(gpus)) if instance.rates[t, bucket] > 0]
        for part in range(_SLICES_PER_BUCKET):
            assigned = [model.add_variable(f"a{bucket}_{part}_{t}", cat=pulp.LpBinary) for t in able]
            model += pulp.lpSum(assigned) == 1
            for t, binary in zip(able, assigned, strict=True):
                carried[t].append((binary, float(demand / _SLICES_PER_BUCKET / instance.rates[t, bucket])))
    for count, terms in zip(gpus, carried, strict=True):
        model += pulp.LpAffineExpression(terms) <= count
    return _cbc(model)


def _cbc(model: pulp.LpProblem) -> float:
    model.solve(pulp.PULP_CBC_CMD(msg=False, threads=1, timeLimit=_CBC_SECONDS))
    if model.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        return math.inf
    return float(pulp.value(model.objective))


def solve_under_scipy(program: Program) -> float:
    """Objective of our program under HiGHS as scipy calls it."""
    shape = (len(program.row_lower), len(program.cost))
    rows = csr_matrix((program.values, program.indices, program.starts), shape=shape)
    result = milp(
        program.cost, integrality=program.integer.astype(int), bounds=Bounds(program.lower, program.upper),
        constraints=LinearConstraint(rows, program.row_lower, program.row_upper),
        options={"mip_rel_gap": DEFAULT_RELATIVE_GAP},
    )  # fmt: skip
    return float(result.fun) if result.success else math.inf
