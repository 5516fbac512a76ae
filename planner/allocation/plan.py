"""From columns of numbers to pods on nodes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.allocation.buckets import Buckets, whole_replicas
from planner.allocation.formulation import Columns
from planner.allocation.layout import Layout, Site, amount
from planner.allocation.packing import Packing, pack
from planner.allocation.problem import Workload
from planner.allocation.result import Allocation, Choice, Node, Pods

__all__ = ["Counts", "Plan", "allocation_of", "counts_of", "load_of", "pack_site", "within_caps"]

_LOAD_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much of everything, before any pod has a node.

    Attributes:
        nodes: per site.
        replicas: (item, site) -> replicas, positive ones only.
        shares: item -> fraction of every bucket it serves, in the order of the workload's demand.
    """

    nodes: tuple[int, ...]
    replicas: Mapping[tuple[int, int], int]
    shares: Mapping[int, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Pods on nodes: for every site its nodes, each as (item -> pods)."""

    nodes: Mapping[int, tuple[Mapping[int, int], ...]]
    shares: Mapping[int, tuple[float, ...]]


def counts_of(layout: Layout, columns: Columns, values: NDArray[np.float64]) -> Counts:
    """Read a solution, and give back replicas that cost nothing but are not needed either."""
    nodes = tuple(round(values[column]) for column in columns.nodes)
    replicas = {key: count for key, column in columns.replicas.items() if (count := round(values[column])) > 0}
    shares: dict[int, tuple[float, ...]] = {}
    for workload in layout.workloads:
        items = layout.items_of(workload)
        running = {item for item, _ in replicas}
        shares |= _shares(columns, columns.buckets[workload.name], items, running, values)
        _trim(layout, workload, items, replicas, shares)
    return Counts(nodes=nodes, replicas=replicas, shares=shares)


def _shares(
    columns: Columns, buckets: Buckets, items: list[int], running: Set[int], values: NDArray[np.float64]
) -> dict[int, tuple[float, ...]]:
    served = np.zeros((len(items), buckets.count))
    for position, item in enumerate(items):
        if item not in running:
            # A solver's tolerance lets an option without replicas serve a millionth; that goes to one that has some.
            continue
        if item in columns.shares:
            served[position] = [max(0.0, values[column]) if column >= 0 else 0.0 for column in columns.shares[item]]
        else:
            served[position] = 1.0
    served[served < _LOAD_TOLERANCE] = 0.0
    for bucket in np.flatnonzero(served.sum(axis=0) == 0):
        able = [p for p, item in enumerate(items) if item in running and np.isfinite(buckets.loads[p, bucket])]
        served[min(able, key=lambda position: buckets.loads[position, bucket]), bucket] = 1.0
    served /= served.sum(axis=0)
    padded = np.hstack([served, np.zeros((len(items), 1))])
    return {item: tuple(padded[position][buckets.member].tolist()) for position, item in enumerate(items)}


def load_of(layout: Layout, item: int, shares: tuple[float, ...]) -> float:
    """Replicas of an item that its shares keep busy."""
    rates, demand = layout.items[item].option.requests_per_second, layout.items[item].workload.demand
    return sum(d * s / r if r else math.inf for d, s, r in zip(demand, shares, rates, strict=True) if d * s > 0)


def _trim(
    layout: Layout, workload: Workload, items: list[int],
    replicas: dict[tuple[int, int], int], shares: Mapping[int, tuple[float, ...]],
) -> None:  # fmt: skip
    for item in items:
        needed = whole_replicas(load_of(layout, item, shares[item]), tolerance=_LOAD_TOLERANCE)
        # Dearest first, so that what is left is what one would keep.
        places = sorted(
            (site for i, site in replicas if i == item), key=lambda site: (-layout.sites[site].price, -site)
        )
        for site in places:
            while replicas.get((item, site), 0) and sum(n for (i, _), n in replicas.items() if i == item) > needed:
                fewer = {**replicas, (item, site): replicas[item, site] - 1}
                if not _counts_hold(layout, workload, items, fewer):
                    break
                replicas[item, site] -= 1
            if not replicas[item, site]:
                del replicas[item, site]


def _counts_hold(layout: Layout, workload: Workload, items: list[int], replicas: Mapping[tuple[int, int], int]) -> bool:
    own = {(layout.sites[site], item): n for (item, site), n in replicas.items() if item in items and n}
    total = sum(own.values())
    if total < workload.min_replicas:
        return False
    if workload.spot is not None:
        firm = sum(n for (site, _), n in own.items() if site.purchase != "spot")
        if firm < max(min(workload.spot.floor_replicas, total), workload.spot.floor_fraction * total - _LOAD_TOLERANCE):
            return False
    zones: Counter[str | None] = Counter()
    for (site, _), n in own.items():
        zones[site.zone] += n
    wanted = workload.spread.min_zones
    return wanted <= 1 or (len(zones) >= wanted and max(zones.values()) <= math.ceil(total / wanted))


def pack_site(layout: Layout, site: int, counts: Counts, nodes: int) -> tuple[Packing, tuple[int, ...]]:
    """Place what the counts put on one site on a number of nodes; also the items that the packing's kinds stand for."""
    items = tuple(sorted(item for item, where in counts.replicas if where == site))
    options = [layout.items[item].option for item in items]
    pool = layout.sites[site].pool
    capacity = [float(pool.gpus), pool.vcpu, pool.memory_gib]
    sizes = [[float(option.gpus), option.vcpu, option.memory_gib] for option in options]
    for workload in {layout.items[item].workload.name: layout.items[item].workload for item in items}.values():
        if workload.spread.max_per_node is not None:
            capacity.append(float(workload.spread.max_per_node))
            for size, item in zip(sizes, items, strict=True):
                size.append(float(layout.items[item].workload.name == workload.name))
    pods = [counts.replicas[item, site] * option.shards for item, option in zip(items, options, strict=True)]
    return pack(capacity=capacity, sizes=sizes, counts=pods, nodes=nodes), items


def within_caps(layout: Layout, nodes: Mapping[int, int]) -> bool:
    """Whether a number of nodes per site keeps the sites' limits and all caps."""
    sites = layout.sites
    if any(sites[site].limit is not None and count > sites[site].limit for site, count in nodes.items()):
        return False
    for cap in layout.problem.all_caps():
        used = sum(
            count * amount(sites[site], cap.unit)
            for site, count in nodes.items()
            if cap.counts(sites[site].pool.name, sites[site].purchase)
        )
        if used > cap.limit * (1 + 1e-9) + 1e-9:
            return False
    return True


def allocation_of(
    layout: Layout, plan: Plan, *, solver: str, objective: float, bound: float, **counters: int
) -> Allocation:
    """The plan in the words of the input, in a stable order; nodes without pods are left out."""
    nodes: list[Node] = []
    replicas: Counter[int] = Counter()
    for index, fillings in sorted(plan.nodes.items()):
        site: Site = layout.sites[index]
        for filling in sorted(fillings, key=lambda filling: sorted(filling.items())):
            pods = [(layout.items[item], item, count) for item, count in sorted(filling.items()) if count]
            replicas.update({item: count for _, item, count in pods})
            named = tuple(
                Pods(workload=item.workload.name, option=item.option.name, count=count) for item, _, count in pods
            )
            if named:
                nodes.append(
                    Node(
                        pool=site.pool.name, purchase=site.purchase, zone=site.zone, usd_per_hour=site.price, pods=named
                    )
                )
    choices = [
        Choice(
            workload=item.workload.name, option=item.option.name, replicas=replicas[index] // item.option.shards,
            load=load_of(layout, index, plan.shares.get(index, ())), shares=plan.shares.get(index, ()),
        )
        for index, item in enumerate(layout.items)
        if replicas[index]
    ]  # fmt: skip
    return Allocation(
        usd_per_hour=math.fsum(node.usd_per_hour for node in nodes), objective=objective, bound=min(bound, objective),
        solver=solver, nodes=tuple(nodes), choices=tuple(choices), **counters,
    )  # fmt: skip
