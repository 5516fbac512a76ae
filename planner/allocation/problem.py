"""What is to be allocated: pools of nodes, workloads with their options, applications, and caps.

Everything is a plain value. The module knows no solver, no catalogue and no stack file: whoever calls it has already
turned models into options (a configuration of one replica with the request rates it sustains) and instance types
into pools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.allocation.faults import problem_faults
from planner.allocation.pool import PURCHASES, RENTED, Pool, Purchase
from planner.faults import UserFault

__all__ = [
    "HOURS_PER_MONTH",
    "PURCHASES",
    "RENTED",
    "Application",
    "Cap",
    "Objective",
    "Option",
    "Pool",
    "Problem",
    "Purchase",
    "SpotRule",
    "Spread",
    "Unit",
    "Workload",
]

HOURS_PER_MONTH = 730
"""Hours in a month as cloud price lists count them (8,760 / 12)."""

Unit = Literal["usd_per_hour", "list_usd_per_hour", "gpus", "vcpu", "memory_gib", "nodes"]
Objective = Literal["cost", "owned"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to run a replica.

    Attributes:
        name: unique within its workload, e.g. ``fp8-tp2``.
        requests_per_second: highest sustained rate of one replica for each bucket of the workload, when it serves
            nothing else; 0: this option cannot serve the bucket. Empty for a workload without buckets.
        gpu_type: GPUs it was sized for; ``None``: it runs on CPU.
        gpus, vcpu, memory_gib: of one shard, which must sit on one node.
        shards: pods that make one replica. More than one means pipeline parallel: the shards of a replica may sit on
            different nodes, all of one pool, purchase and zone.
        pools: the only pools it may use; ``None``: every pool with its GPU type.
    """

    name: str
    requests_per_second: tuple[float, ...] = ()
    gpu_type: str | None = None
    gpus: int = 0
    vcpu: float = 0.0
    memory_gib: float = 0.0
    shards: int = 1
    pools: tuple[str, ...] | None = None

    def runs_on(self, pool: Pool) -> bool:
        """Whether one shard fits on an empty node of the pool, type, taint and size considered."""
        if self.pools is not None and pool.name not in self.pools:
            return False
        if self.gpus:
            if self.gpu_type != pool.gpu_type:
                return False
        elif not pool.takes_cpu_pods():
            return False
        return self.gpus <= pool.gpus and self.vcpu <= pool.vcpu and self.memory_gib <= pool.memory_gib


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How replicas are kept apart.

    Attributes:
        max_per_node: most pods of it on one node; ``None``: no limit. 1 is a required anti-affinity by host name.
        min_zones: zones that must hold a replica, with at most ceil(replicas / zones) in any of them; 1 asks for
            nothing.
    """

    max_per_node: int | None = None
    min_zones: int = 1


@dataclass(frozen=True, kw_only=True)
class SpotRule:
    """Spot is allowed, above a floor that stays on owned or on-demand nodes.

    Attributes:
        floor_replicas: replicas that are never on spot (all of them where there are no more); 1 by default, so that an
            interruption leaves something running.
        floor_fraction: share of all replicas that is never on spot, 0 to 1.
    """

    floor_replicas: int = 1
    floor_fraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A model: demand by bucket of request sizes, and the options that can serve it.

    Attributes:
        demand: requests per second of each bucket; empty: only the replica counts matter.
        min_replicas, max_replicas: over all options together; ``None``: no upper limit.
        max_options: most different options used at once; ``None``: any mix. 1 gives one homogeneous Deployment.
        whole_buckets: each bucket is served by one option. Default off: a bucket may be split over options by weight.
        spot: ``None``: never on spot.
    """

    name: str
    options: tuple[Option, ...]
    demand: tuple[float, ...] = ()
    min_replicas: int = 1
    max_replicas: int | None = None
    max_options: int | None = None
    whole_buckets: bool = False
    spread: Spread = Spread()
    spot: SpotRule | None = None


@dataclass(frozen=True, kw_only=True)
class Application:
    """Pods without a GPU and without buckets: a fixed number of replicas of a given size.

    Attributes:
        pools: the only pools it may use; ``None``: every pool that takes pods without a GPU.
    """

    name: str
    replicas: int
    vcpu: float
    memory_gib: float
    pools: tuple[str, ...] | None = None
    spread: Spread = Spread()
    spot: SpotRule | None = None

    def as_workload(self) -> Workload:
        """The same thing as a workload with one option, which is how it is solved."""
        option = Option(name="pod", vcpu=self.vcpu, memory_gib=self.memory_gib, pools=self.pools)
        return Workload(name=self.name, options=(option,), min_replicas=self.replicas, max_replicas=self.replicas,
                        spread=self.spread, spot=self.spot)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cap:
    """An upper limit on a sum over nodes: a budget, a GPU cap, a quota.

    Attributes:
        name: how a message calls it, unique, e.g. ``budget.usd_per_month``.
        unit: what is summed over the nodes in use.
        pools, purchases: which nodes count; ``None`` and all three by default.
    """

    name: str
    unit: Unit
    limit: float
    pools: tuple[str, ...] | None = None
    purchases: tuple[Purchase, ...] = PURCHASES

    def counts(self, pool: str, purchase: Purchase) -> bool:
        """Whether nodes of that pool, got that way, are part of the sum."""
        return purchase in self.purchases and (self.pools is None or pool in self.pools)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """All that is decided together. Raises `UserFault`, with every fault at once, when it contradicts itself.

    Attributes:
        objective: ``cost``: the least USD per hour, owned nodes at their own price. ``owned``: fill what is owned
            first: the least rent, and among equal rents the fewest owned GPUs (CPUs where there are none) in use, so
                that those in use
            are full.
    """

    pools: tuple[Pool, ...]
    workloads: tuple[Workload, ...] = ()
    applications: tuple[Application, ...] = ()
    caps: tuple[Cap, ...] = ()
    objective: Objective = "cost"

    def __post_init__(self) -> None:
        faults = problem_faults(self)
        if faults:
            raise UserFault(faults)

    def all_caps(self) -> tuple[Cap, ...]:
        """The caps, with every pool's own quota as one more."""
        quotas = (
            Cap(
                name=f"quota {pool.name}",
                unit="nodes",
                limit=pool.max_rented_nodes,
                pools=(pool.name,),
                purchases=RENTED,
            )
            for pool in self.pools
            if pool.max_rented_nodes is not None
        )
        return (*self.caps, *quotas)

    def all_workloads(self) -> tuple[Workload, ...]:
        """Workloads and applications in one form."""
        return (*self.workloads, *(application.as_workload() for application in self.applications))
