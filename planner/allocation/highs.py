"""Running a program under HiGHS, through highspy.

Called directly rather than through scipy, which cannot switch off the heuristics that cost more than they find
on these programs nor fix thread and seed (docs/decisions/allocation-solver.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.allocation.program import Program

__all__ = ["Run", "run_highs"]

_OPTIONS: dict[str, bool | int | float | str] = {
    "output_flag": False,
    "threads": 1,
    "parallel": "off",
    "random_seed": 0,
    "mip_feasibility_tolerance": 1e-7,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_root_reduced_cost": False,
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a solver says.

    Attributes:
        values: the columns of the best solution found; ``None``: none was found.
        objective, bound: of that solution (infinite without one), and what no solution can be below.
        infeasible: proven that there is no solution.
        nodes: branch-and-bound nodes used.
    """

    values: NDArray[np.float64] | None
    objective: float
    bound: float
    infeasible: bool
    nodes: int


def run_highs(program: Program, *, relative_gap: float, node_limit: int) -> Run:
    """Solve to a relative gap or up to a number of nodes, whichever comes first; one thread, fixed seed.

    Raises `RuntimeError` when HiGHS refuses the program or stops for another reason.
    """
    if not len(program.cost):
        impossible = bool((program.row_lower > 0).any() or (program.row_upper < 0).any())
        objective = float("inf") if impossible else 0.0
        values = None if impossible else np.zeros(0)
        return Run(values=values, objective=objective, bound=objective, infeasible=impossible, nodes=0)
    # Here and not above: a plan that is read from a lock file must not load a solver.
    import highspy

    # The class under `highspy.Highs`: that one switches its callbacks on, which prints a banner on standard output.
    highs = highspy.highs._Highs()
    for name, value in _OPTIONS.items():
        highs.setOptionValue(name, value)
    highs.setOptionValue("mip_rel_gap", relative_gap)
    highs.setOptionValue("mip_max_nodes", node_limit)
    if highs.passModel(_model(highspy, program)) == highspy.HighsStatus.kError:
        raise RuntimeError("HiGHS refused the program")
    highs.run()
    status, info = highs.getModelStatus(), highs.getInfo()
    stopped = (
        highspy.HighsModelStatus.kOptimal,
        highspy.HighsModelStatus.kSolutionLimit,
        highspy.HighsModelStatus.kIterationLimit,
    )
    if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
        return Run(
            values=None, objective=float("inf"), bound=float("inf"), infeasible=True, nodes=max(0, info.mip_node_count)
        )
    if status not in stopped:
        raise RuntimeError(f"HiGHS stopped with {highs.modelStatusToString(status)}")
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    values = np.array(highs.getSolution().col_value) if found else None
    bound = info.mip_dual_bound if program.integer.any() else info.objective_function_value
    objective = info.objective_function_value if found else float("inf")
    return Run(values=values, objective=objective, bound=bound, infeasible=False, nodes=max(0, info.mip_node_count))


def _model(highspy: Any, program: Program) -> Any:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(program.cost), len(program.row_lower)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, program.lower, program.upper
    lp.row_lower_, lp.row_upper_ = program.row_lower, program.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = program.starts, program.indices, program.values
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    lp.integrality_ = [kinds[int(flag)] for flag in program.integer]
    return lp
