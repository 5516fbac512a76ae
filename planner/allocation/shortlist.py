"""A smaller problem with the options that look best, to have a good plan before the whole problem is searched."""

from __future__ import annotations

import math
from dataclasses import replace

from planner.allocation.buckets import whole_replicas
from planner.allocation.greedy import node_share
from planner.allocation.layout import Layout
from planner.allocation.plan import load_of
from planner.allocation.problem import Problem

__all__ = ["shortlisted"]

_ENOUGH_ITEMS = 60
"""Programs with fewer options, over all workloads, are solved as quickly without."""
_KEPT = 6


def shortlisted(layout: Layout) -> Problem | None:
    """The problem with the few options of each workload that would be cheapest alone; ``None``: it is small already."""
    if len(layout.items) < _ENOUGH_ITEMS:
        return None
    kept: dict[str, set[str]] = {}
    for workload in layout.workloads:
        items = [item for item in layout.items_of(workload) if layout.hosts[item]]
        ranked = sorted(items, key=lambda item: (_cost_alone(layout, item), item))
        kept[workload.name] = {layout.items[item].option.name for item in ranked[:_KEPT]}
    workloads = tuple(
        replace(w, options=tuple(option for option in w.options if option.name in kept[w.name]) or w.options)
        for w in layout.problem.workloads
    )
    return replace(layout.problem, workloads=workloads)


def _cost_alone(layout: Layout, item: int) -> float:
    """USD per hour when this option serves its whole workload, on the cheapest site."""
    workload = layout.items[item].workload
    load = load_of(layout, item, (1.0,) * len(workload.demand))
    share = min(layout.sites[site].price * node_share(layout, item, site) for site in layout.hosts[item])
    return max(workload.min_replicas, whole_replicas(load) if math.isfinite(load) else load) * share
