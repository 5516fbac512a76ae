"""What the stack costs: nodes of each instance type times the hours of a month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from planner.catalogue import Catalogue, InstanceType, usd_per_month
from planner.plan.parts import filled
from planner.plan.types import CostItem, GpuPoolPlan, ModelPlan
from planner.settings import ModelSpread
from planner.sizing import Sizing

__all__ = ["APPLICATIONS", "application_costs", "plan_costs", "total_per_month"]

APPLICATIONS = "applications"
"""Subject of the nodes that applications share."""


def plan_costs(
    models: tuple[ModelPlan, ...], *, pool: GpuPoolPlan | None, catalogue: Catalogue
) -> tuple[CostItem, ...]:
    """One item per model on GPU nodes that the stack brings. Nodes of an existing pool are paid for already."""
    if pool is None or pool.kind == "existing":
        return ()
    # Nothing makes a managed node group smaller or larger: its machines run whether or not pods need them.
    fixed = pool.kind == "managed-node-group"
    return tuple(_item(model, catalogue, fixed=fixed) for model in models if model.instance_type)


def application_costs(sizing: Sizing | None, *, catalogue: Catalogue) -> tuple[CostItem, ...]:
    """Rented nodes of applications, by type, as sized for their most replicas; nothing where the nodes are the
    cluster's."""
    if sizing is None or sizing.applications is None or not sizing.applications.counted:
        return ()
    counts = Counter[str]()
    for node in sizing.applications.nodes:
        if node.purchase != "owned":
            counts[node.instance_type] += node.count
    return tuple(
        _priced(APPLICATIONS, catalogue.instances[name], least=count, most=count)
        for name, count in sorted(counts.items())
    )


def total_per_month(parts: Iterable[float | None]) -> float | None:
    """Sum in USD; ``None`` when any part is unknown, because a sum that leaves one out reads as the whole."""
    known = list(parts)
    return None if any(part is None for part in known) else round(sum(part for part in known if part is not None), 2)


def _item(model: ModelPlan, catalogue: Catalogue, *, fixed: bool) -> CostItem:
    instance = catalogue.instances[model.instance_type]
    spread = ModelSpread(one_per_node=model.one_per_node, zones=model.zones)
    nodes_min, nodes_max = filled(model.parts, gpus=model.gpus, instance=instance, spread=spread)
    return _priced(f"models.{model.name}", instance, least=nodes_max if fixed else nodes_min, most=nodes_max)


def _priced(subject: str, instance: InstanceType, *, least: int, most: int) -> CostItem:
    price = instance.usd_per_hour
    return CostItem(
        subject=subject,
        instance_type=instance.name,
        nodes_min=least,
        nodes_max=most,
        usd_per_hour=price,
        price_source=instance.price_source,
        price_date=instance.price_date,
        usd_per_month_min=None if price is None else round(usd_per_month(price) * least, 2),
        usd_per_month_max=None if price is None else round(usd_per_month(price) * most, 2),
    )
