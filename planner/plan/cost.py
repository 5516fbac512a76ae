"""What the stack costs: nodes of each instance type times the hours of a month."""

from __future__ import annotations

from collections.abc import Iterable

from planner.catalogue import Catalogue, usd_per_month
from planner.plan.parts import filled
from planner.plan.types import CostItem, GpuPoolPlan, ModelPlan
from planner.settings import ModelSpread

__all__ = ["plan_costs", "total_per_month"]


def plan_costs(
    models: tuple[ModelPlan, ...], *, pool: GpuPoolPlan | None, catalogue: Catalogue
) -> tuple[CostItem, ...]:
    """One item per model on GPU nodes that the stack brings. Nodes of an existing pool are paid for already."""
    if pool is None or pool.kind == "existing":
        return ()
    return tuple(_item(model, catalogue) for model in models if model.instance_type)


def total_per_month(parts: Iterable[float | None]) -> float | None:
    """Sum in USD; ``None`` when any part is unknown, because a sum that leaves one out reads as the whole."""
    known = list(parts)
    return None if any(part is None for part in known) else round(sum(part for part in known if part is not None), 2)


def _item(model: ModelPlan, catalogue: Catalogue) -> CostItem:
    instance = catalogue.instances[model.instance_type]
    spread = ModelSpread(one_per_node=model.one_per_node, zones=model.zones)
    nodes_min, nodes_max = filled(model.parts, gpus=model.gpus, instance=instance, spread=spread)
    price = instance.usd_per_hour
    return CostItem(
        subject=f"models.{model.name}",
        instance_type=model.instance_type,
        nodes_min=nodes_min,
        nodes_max=nodes_max,
        usd_per_hour=price,
        price_source=instance.price_source,
        price_date=instance.price_date,
        usd_per_month_min=None if price is None else round(usd_per_month(price) * nodes_min, 2),
        usd_per_month_max=None if price is None else round(usd_per_month(price) * nodes_max, 2),
    )
