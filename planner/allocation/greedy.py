"""The second solver: serve every bucket where a request is cheapest, then place replicas one by one, first fit.

It looks at cost per request before rounding to whole replicas and never changes its mind, as most autoscalers do. It
is fast, keeps every constraint, and proves nothing: it may pay too much and may miss a plan that exists.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from planner.allocation.buckets import whole_replicas
from planner.allocation.layout import Item, Layout
from planner.allocation.plan import Plan, load_of, within_caps
from planner.allocation.problem import Workload

__all__ = ["greedy_plan", "node_share"]

_TOLERANCE = 1e-9


@dataclass(kw_only=True)
class _Nodes:
    """Nodes opened so far: site -> what is on each of them, and how many of the first ones have no GPU left."""

    layout: Layout
    open: dict[int, list[Counter[int]]] = field(default_factory=dict)
    full: dict[int, int] = field(default_factory=dict)

    def copy(self) -> _Nodes:
        return _Nodes(
            layout=self.layout,
            open={site: [node.copy() for node in nodes] for site, nodes in self.open.items()},
            full=dict(self.full),
        )

    def counts(self) -> dict[int, int]:
        return {site: len(nodes) for site, nodes in self.open.items()}

    def has_room(self, site: int, node: Counter[int], item: Item) -> bool:
        pool, options = self.layout.sites[site].pool, [(self.layout.items[i].option, n) for i, n in node.items()]
        options.append((item.option, 1))
        most = item.workload.spread.max_per_node
        same = 1 + sum(n for i, n in node.items() if self.layout.items[i].workload.name == item.workload.name)
        return (
            (most is None or same <= most)
            and sum(o.gpus * n for o, n in options) <= pool.gpus
            and sum(o.vcpu * n for o, n in options) <= pool.vcpu * (1 + _TOLERANCE)
            and sum(o.memory_gib * n for o, n in options) <= pool.memory_gib * (1 + _TOLERANCE)
        )

    def add_replica(self, site: int, index: int) -> bool:
        """Place every shard of one more replica, or none."""
        if self.layout.items[index].option.shards == 1:
            return self._add_pod(site, index)
        before = [node.copy() for node in self.open.get(site, [])]
        if all(self._add_pod(site, index) for _ in range(self.layout.items[index].option.shards)):
            return True
        self.open[site] = before
        self.full[site] = 0
        return False

    def _add_pod(self, site: int, index: int) -> bool:
        """Put one pod on the first node with room, or on a new one where the caps allow it."""
        nodes = self.open.setdefault(site, [])
        node = self._first_with_room(site, self.layout.items[index])
        if node is not None:
            node[index] += 1
            return True
        if not within_caps(self.layout, {**self.counts(), site: len(nodes) + 1}):
            return False
        nodes.append(Counter({index: 1}))
        return True

    def _first_with_room(self, site: int, item: Item) -> Counter[int] | None:
        """The first node that takes a pod of it. Nodes whose GPUs are gone are not looked at again by those that need
        some: there may be hundreds."""
        nodes, gpus = self.open.get(site, []), self.layout.sites[site].pool.gpus
        first = self.full.get(site, 0)
        while first < len(nodes) and gpus and self._gpus_used(nodes[first]) >= gpus:
            first += 1
        self.full[site] = first
        looked_at = islice(nodes, first if item.option.gpus else 0, None)
        return next((node for node in looked_at if self.has_room(site, node, item)), None)

    def _gpus_used(self, node: Counter[int]) -> int:
        return sum(self.layout.items[index].option.gpus * count for index, count in node.items())

    def price_of_next(self, site: int, index: int) -> float:
        """What one more replica costs there: nothing where there is room, else its part of a new node."""
        item, priced = self.layout.items[index], self.layout.sites[site]
        if item.option.shards == 1 and self._first_with_room(site, item) is not None:
            return 0.0
        return priced.price * node_share(self.layout, index, site)


def node_share(layout: Layout, index: int, site: int) -> float:
    """Nodes that one replica takes up when the pool holds nothing else."""
    item, pool = layout.items[index], layout.sites[site].pool
    pairs = ((item.option.gpus, pool.gpus), (item.option.vcpu, pool.vcpu), (item.option.memory_gib, pool.memory_gib))
    most = [math.floor((1 + _TOLERANCE) * has / needs) for needs, has in pairs if needs]
    if item.workload.spread.max_per_node is not None:
        most.append(item.workload.spread.max_per_node)
    return item.option.shards / max(1, min(most, default=1))


def greedy_plan(layout: Layout) -> Plan | None:
    """A plan that keeps every constraint, or ``None`` when this method finds none."""
    nodes, shares = _Nodes(layout=layout), {}
    # The pods that need most GPUs are the hardest to place: they go first.
    for workload in sorted(layout.workloads, key=lambda w: -max(option.gpus for option in w.options)):
        items = [item for item in layout.items_of(workload) if layout.hosts[item]]
        while True:
            if not items:
                return None
            served, failed = _serve(layout, workload, items)
            if served is None:
                return None
            trial = nodes.copy()
            failed = failed if failed is not None else _place(trial, workload, served)
            if failed is None:
                break
            items = [item for item in items if item != failed]
        nodes, shares = trial, shares | served
    placed = {site: tuple(dict(node) for node in opened) for site, opened in nodes.open.items() if opened}
    return Plan(nodes=placed, shares=shares)


def _serve(
    layout: Layout, workload: Workload, items: list[int]
) -> tuple[dict[int, tuple[float, ...]] | None, int | None]:
    """Shares, each bucket wholly on the cheapest option; or the option to leave out, when too many are in use."""
    price = {i: min(layout.sites[s].price * node_share(layout, i, s) for s in layout.hosts[i]) for i in items}
    rates = {i: layout.items[i].option.requests_per_second for i in items}
    shares = {i: [0.0] * len(workload.demand) for i in items}
    for bucket, demand in enumerate(workload.demand):
        able = [i for i in items if rates[i][bucket] > 0]
        if demand > 0 and not able:
            return None, None
        if demand > 0:
            shares[min(able, key=lambda i: (price[i] / rates[i][bucket], i))][bucket] = 1.0
    used = [i for i in items if any(shares[i])]
    if workload.max_options is not None and len(used) > workload.max_options:
        loads = {i: load_of(layout, i, tuple(shares[i])) * price[i] for i in used}
        essential = {
            i for i in used for b, d in enumerate(workload.demand) if d > 0 and [j for j in items if rates[j][b]] == [i]
        }
        spare = [i for i in used if i not in essential]
        return ({}, min(spare, key=lambda i: (loads[i], i))) if spare else (None, None)
    used = used or [min(items, key=lambda i: (price[i], i))]
    return {i: tuple(shares[i]) for i in used}, None


def _place(nodes: _Nodes, workload: Workload, served: dict[int, tuple[float, ...]]) -> int | None:
    """Place all replicas of a workload; the item that found no place, if any."""
    layout = nodes.layout
    replicas = {item: whole_replicas(load_of(layout, item, share)) for item, share in served.items()}
    cheapest = min(
        served, key=lambda i: (min(layout.sites[s].price * node_share(layout, i, s) for s in layout.hosts[i]), i)
    )
    rule, wanted = workload.spot, workload.spread.min_zones
    least = max(workload.min_replicas, wanted if wanted > 1 else 0)
    replicas[cheapest] += max(0, least - sum(replicas.values()))
    total = sum(replicas.values())
    if workload.max_replicas is not None and total > workload.max_replicas:
        return cheapest if len(served) == 1 else max(served, key=lambda i: (replicas[i], i))
    firm = max(rule.floor_replicas, math.ceil(rule.floor_fraction * total - _TOLERANCE)) if rule else total
    zones: Counter[str | None] = Counter()
    for item in [item for item, count in sorted(replicas.items()) for _ in range(count)]:
        sites = [site for site in layout.hosts[item] if firm <= 0 or layout.sites[site].purchase != "spot"]
        ranked = sorted(
            sites, key=lambda s: (zones[layout.sites[s].zone] if wanted > 1 else 0, nodes.price_of_next(s, item), s)
        )
        for site in ranked:
            zone = layout.sites[site].zone
            if wanted > 1 and zones[zone] >= math.ceil(total / wanted):
                continue
            if nodes.add_replica(site, item):
                zones[zone] += 1
                firm -= 1
                break
        else:
            return item
    return None if wanted <= 1 or len(zones) >= wanted else cheapest
