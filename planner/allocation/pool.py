"""Nodes that can be had: one instance type, in up to three ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PURCHASES", "RENTED", "Pool", "Purchase"]

Purchase = Literal["owned", "on-demand", "spot"]
PURCHASES: tuple[Purchase, ...] = ("owned", "on-demand", "spot")
RENTED: tuple[Purchase, ...] = ("on-demand", "spot")


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Nodes of one instance type.

    Attributes:
        name: the instance type, unique in the problem.
        vcpu, memory_gib: what pods can be given on one node (allocatable, so after the system's own share).
        gpus, gpu_type: GPUs per node and their type; ``0`` and ``None`` for a CPU node.
        usd_per_hour: on-demand price of one node; ``None``: it cannot be rented on demand.
        spot_usd_per_hour: spot price; ``None``: not offered as spot.
        list_usd_per_hour: what a node counts in a cap on list prices, however it was got; ``None``: `usd_per_hour`.
        owned_nodes, owned_usd_per_hour: nodes that exist already, and what using one costs. The price is 0 by
            default, as the money is spent whether or not the node works. Owned nodes stand in the pool's zones in
            turn, the first zone first.
        max_rented_nodes: the quota on rented nodes; ``None``: none. Quotas across pools are a `Cap`.
        zones: where its nodes can stand; only looked at when something asks for zones.
        accepts_cpu_pods: whether pods without a GPU may run here; ``None``, the default: only on nodes without GPUs,
            since GPU nodes carry a taint.
    """

    name: str
    vcpu: float
    memory_gib: float
    gpus: int = 0
    gpu_type: str | None = None
    usd_per_hour: float | None = None
    spot_usd_per_hour: float | None = None
    list_usd_per_hour: float | None = None
    owned_nodes: int = 0
    owned_usd_per_hour: float = 0.0
    max_rented_nodes: int | None = None
    zones: tuple[str, ...] = ()
    accepts_cpu_pods: bool | None = None

    def price(self, purchase: Purchase) -> float | None:
        """USD per node and hour for one way to get it; ``None`` where it cannot be had that way."""
        if purchase == "owned":
            return self.owned_usd_per_hour if self.owned_nodes else None
        return self.spot_usd_per_hour if purchase == "spot" else self.usd_per_hour

    def list_price(self) -> float:
        """USD per node and hour in a cap on list prices; 0 where none is known."""
        return (self.usd_per_hour if self.list_usd_per_hour is None else self.list_usd_per_hour) or 0.0

    def takes_cpu_pods(self) -> bool:
        """Whether pods without a GPU may run on these nodes."""
        return self.gpus == 0 if self.accepts_cpu_pods is None else self.accepts_cpu_pods
