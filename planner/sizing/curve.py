"""Cost against load: the stack sized again for parts and multiples of its expected traffic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from planner.allocation import Infeasible, allocate_apart
from planner.catalogue import Catalogue, usd_per_month
from planner.settings import Budget, StackSettings
from planner.sizing.build import prepare
from planner.sizing.placed import placed
from planner.sizing.refusals import refuse_conflicts, refuse_model

__all__ = ["APPLICATIONS_LAYER", "LOADS", "CurvePoint", "cost_curve"]

LOADS = tuple(step / 4 for step in range(1, 17))
"""A quarter of the expected traffic to four times as much."""
APPLICATIONS_LAYER = "nodes of applications"
"""No model has a name with blanks."""
_GAP = 1e-3
"""A tenth of a percent is less than a line is wide."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """Cost of the sized models at ``load`` times the expected traffic, by model, in USD per month; and of applications,
    where their nodes are rented, whose replicas are as stated at any load."""

    load: float
    usd_per_month: dict[str, float]


def cost_curve(
    settings: StackSettings, catalogue: Catalogue, *, where: str, folder: Path = Path()
) -> tuple[CurvePoint, ...]:
    """One point per load. Budgets, caps and stated replica counts are left out: the curve shows where they would bind.

    Raises:
        UserFault: a model cannot be served at any load.
    """
    free, known, points = _unbound(settings), None, []
    for load in LOADS:
        try:
            prepared = prepare(free, catalogue, where=where, folder=folder, times=load, known=known)
        except ValueError as error:
            raise refuse_model(str(error), free, catalogue, where=where, folder=folder) from None
        # What a replica sustains does not depend on how many there are.
        known = prepared.choices
        result = allocate_apart(prepared.problem, solver=settings.sizing.solver, relative_gap=_GAP)
        if isinstance(result, Infeasible):
            # Only a promise on where replicas stand can be in the way of an unbounded plan.
            raise refuse_conflicts(prepared, result, free, catalogue, where=where, folder=folder)
        month = {name: usd_per_month(placed(name, result).usd_per_hour) for name in sorted(prepared.choices)}
        if prepared.side.counted:
            on_cpus = {pool.name for pool in prepared.side.problem.pools}
            rent = sum(node.usd_per_hour for node in result.nodes if node.pool in on_cpus)
            month[APPLICATIONS_LAYER] = usd_per_month(rent)
        points.append(CurvePoint(load=load, usd_per_month=month))
    return tuple(points)


def _unbound(settings: StackSettings) -> StackSettings:
    models = {}
    for name, model in settings.models.items():
        if model.hardware == "auto":
            # Built anew: a model that leaves `replicas` out may have any number of them.
            models[name] = type(model)(**{key: getattr(model, key) for key in model.model_fields_set - {"replicas"}})
    free = settings.gpu_pool.model_copy(update={"max_gpus": None, "quotas": ()})
    return settings.model_copy(update={"models": models, "budget": Budget(), "gpu_pool": free})
