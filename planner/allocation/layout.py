"""Where things can stand: the sites a problem offers and the items that want a place.

A site is a pool bought one way, in one zone where zones matter. An item is one option of one workload. Both come in
an order that depends on figures first and on names last, so that renaming or reordering the input leaves the choice
as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from planner.allocation.dominance import useful_options
from planner.allocation.problem import PURCHASES, Option, Pool, Problem, Purchase, Unit, Workload

__all__ = ["Item", "Layout", "Site", "amount", "layout_of"]

_NO_PRICE = -1.0


@dataclass(frozen=True, kw_only=True)
class Site:
    """A pool, bought one way, in one zone (``None`` where nothing asks for zones).

    Attributes:
        price: USD per node and hour.
        limit: most nodes; ``None``: as many as the caps allow.
    """

    pool: Pool
    purchase: Purchase
    zone: str | None
    price: float
    limit: int | None


@dataclass(frozen=True, kw_only=True)
class Item:
    """One option of one workload."""

    workload: Workload
    option: Option

    def fits(self, site: Site) -> bool:
        """Whether a replica may stand there at all."""
        if site.purchase == "spot" and self.workload.spot is None:
            return False
        if self.workload.spread.min_zones > 1 and site.zone is None:
            return False
        return self.option.runs_on(site.pool)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sites and items in canonical order, and for every item the indices of the sites that can host it."""

    problem: Problem
    sites: tuple[Site, ...]
    items: tuple[Item, ...]
    hosts: tuple[tuple[int, ...], ...]

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """The workloads, applications among them, each with its useful options."""
        return tuple({item.workload.name: item.workload for item in self.items}.values())

    def items_of(self, workload: Workload) -> list[int]:
        """Indices of the items of one workload."""
        return [index for index, item in enumerate(self.items) if item.workload.name == workload.name]


def amount(site: Site, unit: Unit) -> float:
    """What one node of the site adds to a cap of that unit."""
    amounts = {
        "usd_per_hour": site.price,
        "list_usd_per_hour": site.pool.list_price(),
        "gpus": site.pool.gpus,
        "vcpu": site.pool.vcpu,
        "memory_gib": site.pool.memory_gib,
        "nodes": 1,
    }
    return float(amounts[unit])  # fmt: skip


def _pool_key(pool: Pool) -> tuple[object, ...]:
    prices = (_NO_PRICE if price is None else price for price in map(pool.price, PURCHASES))
    return (pool.gpus, pool.vcpu, pool.memory_gib, *prices, pool.owned_nodes, pool.max_rented_nodes or 0, pool.name)


def _option_key(option: Option) -> tuple[object, ...]:
    figures = (option.gpus, option.vcpu, option.memory_gib, option.shards)
    return (*figures, sum(option.requests_per_second), sorted(option.requests_per_second), option.name)


def _workload_key(workload: Workload) -> tuple[object, ...]:
    figures = (sum(workload.demand), workload.min_replicas, len(workload.options))
    return (*figures, sorted(workload.demand), [_option_key(option)[:-1] for option in workload.options], workload.name)


def _zones(pool: Pool, purchase: Purchase, zoned: bool) -> Sequence[tuple[str | None, int | None]]:
    """(zone, most nodes) of the sites of one pool and purchase."""
    zones: Sequence[str | None] = sorted(pool.zones) if zoned and pool.zones else [None]
    if purchase != "owned":
        return [(zone, None) for zone in zones]
    share, rest = divmod(pool.owned_nodes, len(zones))
    return [(zone, share + (index < rest)) for index, zone in enumerate(zones)]


def layout_of(problem: Problem) -> Layout:
    """Sites and items of a problem, in canonical order; only sites that can host something."""
    workloads = [
        replace(workload, options=tuple(sorted(useful_options(workload).options, key=_option_key)))
        for workload in problem.all_workloads()
    ]
    items = [Item(workload=w, option=o) for w in sorted(workloads, key=_workload_key) for o in w.options]
    zoned = any(workload.spread.min_zones > 1 for workload in workloads)
    sites = [
        Site(pool=pool, purchase=purchase, zone=zone, price=price, limit=limit)
        for pool in sorted(problem.pools, key=_pool_key)
        for purchase in PURCHASES
        if (price := pool.price(purchase)) is not None
        for zone, limit in _zones(pool, purchase, zoned)
    ]
    sites = [site for site in sites if site.limit != 0 and any(item.fits(site) for item in items)]
    hosts = tuple(tuple(index for index, site in enumerate(sites) if item.fits(site)) for item in items)
    return Layout(problem=problem, sites=tuple(sites), items=tuple(items), hosts=hosts)
