"""The problem as a mixed-integer program.

Columns: nodes per site (integer), replicas per item and site (integer), share of each bucket served by each option,
one binary per option where options are counted, one per zone where zones are. What makes the relaxation tight:
buckets whose loads on all options are proportional become one; a workload that uses a single option needs no shares,
its replicas are rounded up instead; and pods that cannot share a node say so (`cuts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from planner.allocation.buckets import Buckets, buckets_of, whole_replicas
from planner.allocation.cuts import PackingCut, packing_rows
from planner.allocation.layout import Layout, Site, amount
from planner.allocation.problem import Workload
from planner.allocation.program import INFINITY, Program, ProgramBuilder

__all__ = ["Columns", "formulate"]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column means what.

    Attributes:
        nodes: column of each site.
        replicas: (item, site) -> column.
        shares: item -> columns, one per merged bucket (-1: cannot serve it); absent where a workload uses one option.
        uses: item -> binary "this option is used"; absent where options are not counted.
        buckets: workload name -> its merged buckets.
    """

    nodes: list[int] = field(default_factory=list)
    replicas: dict[tuple[int, int], int] = field(default_factory=dict)
    shares: dict[int, list[int]] = field(default_factory=dict)
    uses: dict[int, int] = field(default_factory=dict)
    buckets: dict[str, Buckets] = field(default_factory=dict)

    def of(self, items: Iterable[int], sites: Callable[[int], bool] = lambda site: True) -> list[int]:
        """Replica columns of some items on the sites that are asked for."""
        chosen = set(items)
        return [column for (item, site), column in self.replicas.items() if item in chosen and sites(site)]


def formulate(
    layout: Layout, *, price: Callable[[Site], float], cuts: Sequence[PackingCut] = (), below: float = INFINITY
) -> tuple[Program, Columns]:
    """Build the program; `price` is what one node of a site counts in the objective, `below` what the sum may reach."""
    builder, columns = ProgramBuilder(), Columns()
    for site in layout.sites:
        columns.nodes.append(
            builder.column(cost=price(site), upper=INFINITY if site.limit is None else site.limit, integer=True)
        )
    for item, hosts in enumerate(layout.hosts):
        for site in hosts:
            columns.replicas[item, site] = builder.column(integer=True)
    for workload in layout.workloads:
        items = layout.items_of(workload)
        _demand(builder, columns, layout, workload, items)
        _counts(builder, columns, layout, workload, items)
        _zones(builder, columns, layout, workload, items)
    for index in range(len(layout.sites)):
        _capacity(builder, columns, layout, index)
    for cap in layout.problem.all_caps():
        counted = [i for i, site in enumerate(layout.sites) if cap.counts(site.pool.name, site.purchase)]
        builder.row(
            [columns.nodes[i] for i in counted], [amount(layout.sites[i], cap.unit) for i in counted], upper=cap.limit
        )
    if below < INFINITY:
        builder.row(columns.nodes, [price(site) for site in layout.sites], upper=below)
    for cut in cuts:
        _learned(builder, columns, layout, cut)
    return builder.build(), columns


def _demand(builder: ProgramBuilder, columns: Columns, layout: Layout, workload: Workload, items: list[int]) -> None:
    """Every bucket is served, and the replicas of an option carry what it serves."""
    buckets = columns.buckets[workload.name] = buckets_of(workload, [layout.items[item].option for item in items])
    most = buckets.most_replicas(workload)
    if workload.max_options == 1 and len(items) > 1:
        for item, load, bound in zip(items, buckets.whole_loads(), most, strict=True):
            use = columns.uses[item] = builder.column(upper=1 if math.isfinite(load) else 0, integer=True)
            placed = columns.of([item])
            needed = whole_replicas(load) if math.isfinite(load) else 0
            builder.row([*placed, use], [*[1.0] * len(placed), -needed], lower=0)
            builder.row([*placed, use], [*[1.0] * len(placed), -bound], upper=0)
        builder.row([columns.uses[item] for item in items], [1.0] * len(items), lower=1, upper=1)
        return
    if len(items) == 1:
        load = buckets.whole_loads()[0]
        placed = columns.of(items) if math.isfinite(load) else []
        builder.row(placed, [1.0] * len(placed), lower=whole_replicas(load) if math.isfinite(load) else 1)
        return
    for position, item in enumerate(items):
        loads = buckets.loads[position]
        shares = columns.shares[item] = [
            builder.column(upper=1, integer=workload.whole_buckets) if math.isfinite(load) else -1 for load in loads
        ]
        pairs = [(share, load) for share, load in zip(shares, loads, strict=True) if share >= 0]
        placed = columns.of([item])
        builder.row([*(s for s, _ in pairs), *placed], [*(load for _, load in pairs), *[-1.0] * len(placed)], upper=0)
        if workload.max_options is not None:
            use = columns.uses[item] = builder.column(upper=1, integer=True)
            builder.row([*placed, use], [*[1.0] * len(placed), -most[position]], upper=0)
    for bucket in range(buckets.count):
        serving = [columns.shares[item][bucket] for item in items if columns.shares[item][bucket] >= 0]
        builder.row(serving, [1.0] * len(serving), lower=1, upper=1)
    # However small its demand, a bucket needs a replica that can serve it.
    for able in sorted({tuple(math.isfinite(load) for load in column) for column in buckets.loads.T}):
        placed = columns.of(item for item, serves in zip(items, able, strict=True) if serves)
        builder.row(placed, [1.0] * len(placed), lower=1)
    if workload.max_options is not None:
        builder.row([columns.uses[item] for item in items], [1.0] * len(items), upper=workload.max_options)


def _counts(builder: ProgramBuilder, columns: Columns, layout: Layout, workload: Workload, items: list[int]) -> None:
    """Minimum, maximum, and the floor that stays off spot."""
    placed = columns.of(items)
    upper = INFINITY if workload.max_replicas is None else workload.max_replicas
    builder.row(placed, [1.0] * len(placed), lower=workload.min_replicas, upper=upper)
    if workload.spot is None:
        return
    firm = columns.of(items, lambda site: layout.sites[site].purchase != "spot")
    floor = workload.spot.floor_replicas
    if floor <= 1:
        # There is always one replica, so one is off spot.
        builder.row(firm, [1.0] * len(firm), lower=min(floor, upper))
    else:
        # Spot only above the floor: fewer replicas than that are all off spot, and none is added for its sake.
        loose = [column for column in placed if column not in set(firm)]
        above = builder.column(upper=1, integer=True)
        most = sum(columns.buckets[workload.name].most_replicas(workload))
        builder.row([*loose, above], [*[1.0] * len(loose), -float(most)], upper=0)
        builder.row([*firm, above], [*[1.0] * len(firm), -float(floor)], lower=0)
    if workload.spot.floor_fraction:
        kept = set(firm)
        builder.row(placed, [(column in kept) - workload.spot.floor_fraction for column in placed], lower=0)


def _zones(builder: ProgramBuilder, columns: Columns, layout: Layout, workload: Workload, items: list[int]) -> None:
    """At least `wanted` zones hold a replica, and none holds more than ceil(replicas / wanted)."""
    wanted = workload.spread.min_zones
    if wanted <= 1:
        return
    placed = columns.of(items)
    used = []
    for zone in sorted({site.zone for site in layout.sites if site.zone is not None}):
        there = set(columns.of(items, lambda site, zone=zone: layout.sites[site].zone == zone))
        builder.row(placed, [wanted * (column in there) - 1.0 for column in placed], upper=wanted - 1)
        used.append(builder.column(upper=1, integer=True))
        builder.row([*sorted(there), used[-1]], [*[1.0] * len(there), -1.0], lower=0)
    builder.row(used, [1.0] * len(used), lower=wanted)


def _capacity(builder: ProgramBuilder, columns: Columns, layout: Layout, site: int) -> None:
    """GPUs, CPU, memory and pods per node of one site."""
    pool = layout.sites[site].pool
    items = [item for item in range(len(layout.items)) if (item, site) in columns.replicas]
    options = [layout.items[item].option for item in items]
    dimensions = [
        [option.gpus / pool.gpus if pool.gpus else 0.0 for option in options],
        [option.vcpu / pool.vcpu if pool.vcpu else 0.0 for option in options],
        [option.memory_gib / pool.memory_gib if pool.memory_gib else 0.0 for option in options],
    ]
    for workload in {layout.items[item].workload.name: layout.items[item].workload for item in items}.values():
        if workload.spread.max_per_node is not None:
            share = 1 / workload.spread.max_per_node
            dimensions.append([share if layout.items[item].workload.name == workload.name else 0.0 for item in items])
    rows = {row for fractions in dimensions for row in packing_rows(fractions)}
    for row in sorted(rows):
        pairs = [
            (columns.replicas[item, site], share * option.shards)
            for item, option, share in zip(items, options, row, strict=True)
            if share
        ]
        builder.row([*(c for c, _ in pairs), columns.nodes[site]], [*(v for _, v in pairs), -1.0], upper=0)


def _learned(builder: ProgramBuilder, columns: Columns, layout: Layout, cut: PackingCut) -> None:
    """``nodes + sum(shards * missing) >= cut.nodes`` with missing = ``max(0, count - replicas)``."""
    for site, node in enumerate(columns.nodes):
        if layout.sites[site].pool.name != cut.pool:
            continue
        missing = []
        for item, count in cut.counts:
            placed = columns.replicas.get((item, site))
            if placed is None:
                missing.append((builder.column(upper=count), layout.items[item].option.shards))
                continue
            workload = layout.items[item].workload
            most = columns.buckets[workload.name].most_replicas(workload)[layout.items_of(workload).index(item)]
            short = builder.column(upper=count)
            fewer = builder.column(upper=1, integer=True)
            builder.row([short, fewer], [1.0, -count], upper=0)
            builder.row([short, placed, fewer], [1.0, 1.0, most], upper=count + most)
            missing.append((short, layout.items[item].option.shards))
        builder.row([node, *(c for c, _ in missing)], [1.0, *(float(s) for _, s in missing)], lower=cut.nodes)
