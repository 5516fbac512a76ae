"""How the replicas of a model are divided into Deployments, and how many nodes of its own they fill."""

from __future__ import annotations

import math

from planner.catalogue import InstanceType
from planner.nodes import nodes_filled
from planner.plan.model_plan import ServerPart
from planner.settings import GpuPool, Hardware, Model, ModelSpread, StackSettings
from planner.sizing import Sizing

__all__ = ["filled", "plan_parts", "stated"]

_ROUNDING = 1e-9


def stated(model: Model) -> Hardware | None:
    """A model's hardware; what ``auto`` stands for has been put in its place before."""
    return model.hardware if isinstance(model.hardware, Hardware) else None


def plan_parts(settings: StackSettings, sizing: Sizing | None) -> dict[str, tuple[ServerPart, ...]]:
    """Deployments of every model, by its name: two where a floor stays off spot and others may be interrupted.

    One Deployment cannot keep a part of its pods on demand: a rollout or a drained node moves any of them anywhere.
    """
    sized = sizing.models if sizing else {}
    return {
        name: _parts(name, model, settings.gpu_pool, sized[name].spot_replicas if name in sized else None)
        for name, model in sorted(settings.models.items())
    }


def _parts(name: str, model: Model, pool: GpuPool, sized_spot: int | None) -> tuple[ServerPart, ...]:
    least, most = model.minimum_replicas, model.maximum_replicas
    floor = pool.spot_floor
    if floor is None or stated(model) is None:
        return (ServerPart(name=name, replicas_min=least, replicas_max=most),)
    firm = max(floor.on_demand_replicas, math.ceil(floor.on_demand_share * most - _ROUNDING))
    # Sizing may keep more of them off spot: where they fill a node that is paid for anyway.
    firm = min(most, firm if sized_spot is None else most - min(sized_spot, most))
    if firm == 0:
        return (ServerPart(name=name, replicas_min=least, replicas_max=most),)
    if firm == most:
        return (ServerPart(name=name, replicas_min=least, replicas_max=most, on_demand=True),)
    return (
        # The floor runs all the time, also where the model could do with fewer replicas.
        ServerPart(name=name, replicas_min=firm, replicas_max=firm, on_demand=True),
        ServerPart(name=f"{name}-spot", replicas_min=max(0, least - firm), replicas_max=most - firm),
    )


def filled(
    parts: tuple[ServerPart, ...], *, gpus: int, instance: InstanceType, spread: ModelSpread
) -> tuple[int, int]:
    """Nodes of the model's own at its minimum and at its maximum; parts never share one."""
    per_node = max(1, instance.gpus // gpus)

    def nodes(replicas: int) -> int:
        return nodes_filled(replicas, per_node=per_node, zones=spread.zones, one_per_node=spread.one_per_node)

    return sum(nodes(part.replicas_min) for part in parts), sum(nodes(part.replicas_max) for part in parts)
