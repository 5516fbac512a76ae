"""Cost against load: the stack sized again for parts and multiples of the traffic that it states."""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalogue import Catalogue
from planner.settings import Budget, StackSettings
from planner.sizing.decide import decide

__all__ = ["LOADS", "CurvePoint", "cost_curve"]

LOADS = tuple(step / 4 for step in range(1, 17))
"""A quarter of the stated traffic to four times as much."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """Cost of the sized models at ``load`` times the stated traffic, by model, in USD per month."""

    load: float
    usd_per_month: dict[str, float]


def cost_curve(settings: StackSettings, catalogue: Catalogue, *, where: str) -> tuple[CurvePoint, ...]:
    """One point per load. Budgets, caps and stated replica counts are left out: the curve shows where they would bind.

    Raises:
        UserFault: a model cannot be served at any load.
    """
    points = []
    for load in LOADS:
        sizing = decide(_scaled(settings, load), catalogue, where=where)
        points.append(CurvePoint(load=load, usd_per_month={n: m.usd_per_month for n, m in sizing.models.items()}))
    return tuple(points)


def _scaled(settings: StackSettings, load: float) -> StackSettings:
    models = {}
    for name, model in settings.models.items():
        if model.hardware != "auto" or model.traffic is None:
            continue
        rate = model.traffic.requests_per_second * load
        stated = {key: getattr(model, key) for key in model.model_fields_set - {"replicas"}}
        # Built anew: a model that leaves `replicas` out may have any number of them.
        stated["traffic"] = model.traffic.model_copy(update={"requests_per_second": rate})
        models[name] = type(model)(**stated)
    free = settings.gpu_pool.model_copy(update={"max_gpus": None})
    return settings.model_copy(update={"models": models, "budget": Budget(), "gpu_pool": free})
