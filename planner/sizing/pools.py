"""Pools of nodes that the models of a stack may use: rented ones per model, and those that exist, for all."""

from __future__ import annotations

from planner.allocation import Pool
from planner.catalogue import InstanceType
from planner.choice import Candidate
from planner.nodes import NODE_SHARE
from planner.settings import GpuPool, Hardware

__all__ = ["APPLICATIONS", "PoolBook"]

APPLICATIONS = "applications"
"""Whose rented nodes without a GPU are, in the names of pools."""

_UNPRICED_NODES = 1000
_SPOT_BELOW_ON_DEMAND = 1e-6


class PoolBook:
    """The pools of a problem, by name; what a name stands for can be asked back."""

    def __init__(self, settings: GpuPool) -> None:
        self._settings = settings
        self._pools: dict[str, Pool] = {}
        self._types: dict[str, InstanceType] = {}
        self._unpriced: set[str] = set()

    def add(self, model: str, instance: InstanceType, *, stated: bool = False) -> bool:
        """Offer nodes of that type to the model. False, and nothing is offered, when they can be had in no way: no
        price is known and none is owned (stated hardware is offered all the same; the total prints as unknown)."""
        owned = self._settings.owned.get(instance.name, 0)
        if owned:
            self._put(f"owned {instance.name}", instance, owned=owned, rented=False)
        if self._settings.kind == "existing":
            if stated and not owned:
                # Nodes that exist, of which the stack file does not say how many.
                self._put(f"{model} {instance.name}", instance, owned=_UNPRICED_NODES, rented=False)
            return bool(owned) or stated
        if instance.usd_per_hour is not None:
            self._put(f"{model} {instance.name}", instance, owned=0, rented=True)
        elif stated and not owned:
            self._unpriced.add(f"{model} {instance.name}")
            self._put(f"{model} {instance.name}", instance, owned=_UNPRICED_NODES, rented=False)
        return bool(owned) or stated or instance.usd_per_hour is not None

    def add_cpu(self, instance: InstanceType) -> None:
        """Offer nodes without a GPU to the pods of applications, which share them."""
        owned = self._settings.owned.get(instance.name, 0)
        if owned:
            self._put(f"owned {instance.name}", instance, owned=owned, rented=False)
        if instance.usd_per_hour is not None:
            self._put(f"{APPLICATIONS} {instance.name}", instance, owned=0, rented=True)

    def _put(self, name: str, instance: InstanceType, *, owned: int, rented: bool) -> None:
        price = instance.usd_per_hour if rented else None
        self._types[name] = instance
        self._pools[name] = Pool(
            name=name,
            # Replicas on GPUs are given their share of the cores beforehand; other pods state what they want.
            vcpu=instance.vcpu if instance.gpus else instance.vcpu * NODE_SHARE,
            # What pods request of it at most, so that a cap on memory counts requests, as policies do.
            memory_gib=max(1.0, instance.memory_gib * NODE_SHARE),
            gpus=instance.gpus,
            gpu_type=instance.gpu,
            usd_per_hour=price,
            spot_usd_per_hour=_spot_price(instance) if self._settings.spot and rented else None,
            list_usd_per_hour=instance.usd_per_hour,
            owned_nodes=owned,
            zones=self._settings.zones,
        )

    def names(self, model: str, wanted: Candidate | Hardware) -> tuple[str, ...]:
        """The pools that hold nodes of the wanted type for the model."""
        names = (f"owned {wanted.instance_type}", f"{model} {wanted.instance_type}")
        return tuple(name for name in names if name in self._pools)

    def pools(self) -> tuple[Pool, ...]:
        """All of them."""
        return tuple(self._pools.values())

    def instance(self, pool: str) -> InstanceType:
        """The type of a pool's nodes."""
        return self._types[pool]

    def price_known(self, pool: str) -> bool:
        """False for stated hardware without a price, which is carried along as if it were owned."""
        return pool not in self._unpriced


def _spot_price(instance: InstanceType) -> float | None:
    """The user's own figure; otherwise a hair below the price on demand, so that spot is used above its floor and money
    is counted at what it can cost at most."""
    if instance.spot_usd_per_hour is not None:
        return instance.spot_usd_per_hour
    return None if instance.usd_per_hour is None else instance.usd_per_hour * (1 - _SPOT_BELOW_ON_DEMAND)
