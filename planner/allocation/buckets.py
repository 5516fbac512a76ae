"""Loads of a workload's buckets on its options, with buckets that behave alike merged into one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.allocation.problem import Option, Workload

__all__ = ["Buckets", "buckets_of", "whole_replicas"]

_DIGITS = 12
_ROUNDING = 1e-9


def whole_replicas(load: float, *, tolerance: float = _ROUNDING) -> int:
    """Replicas that carry a load: rounded up, with a tolerance for rounding errors, but at least one for any load."""
    return max(1, math.ceil(load - tolerance)) if load > 0 else 0


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """Merged buckets.

    Attributes:
        loads: replicas of each option that a whole merged bucket keeps busy, (options, merged buckets); infinite:
            cannot serve.
        member: for each bucket of the workload the merged bucket it is in; -1: no demand.
    """

    loads: NDArray[np.float64]
    member: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of merged buckets."""
        return self.loads.shape[1]

    def whole_loads(self) -> list[float]:
        """Replicas busy when an option serves everything alone; infinite where it cannot."""
        return [float(row.sum()) for row in self.loads]

    def most_replicas(self, workload: Workload) -> list[int]:
        """For each option more replicas than a cheapest plan needs of it: a bound for "an unused option has none".

        An option needs no more than would serve everything it can serve, or than the least number asked for; replicas
        beyond that can go, those on spot first. Where the number in one place depends on the number elsewhere (zones,
        a share kept off spot) all options together are the bound.
        """
        spread, spot = workload.spread, workload.spot
        fraction = spot.floor_fraction if spot else 0.0
        least = max(workload.min_replicas, spot.floor_replicas if spot else 0, spread.min_zones, 1)
        served = np.where(np.isfinite(self.loads), self.loads, 0.0).sum(axis=1)
        needed = [max(least, whole_replicas(load)) for load in served]
        if spread.min_zones > 1 or fraction:
            # One replica on spot asks for fraction / (1 - fraction) off it. Where that is more than is needed at all,
            # the one on spot can go, so a share close to one makes no larger bound.
            beside = min(1 / (1 - fraction), sum(needed) + 1) if fraction < 1 else 1
            needed = [sum(needed) * max(spread.min_zones, math.ceil(beside))] * len(needed)
        ceiling = workload.max_replicas
        return needed if ceiling is None else [min(ceiling, count) for count in needed]


def buckets_of(workload: Workload, options: Sequence[Option]) -> Buckets:
    """Loads by option (in the given order) and merged bucket.

    Two buckets whose loads are proportional over all options can be split alike without loss, so they become one.
    Buckets that must stay whole are not merged. Merged buckets are ordered by their loads, never by their place in
    the input.
    """
    demand = np.asarray(workload.demand, dtype=np.float64)
    rates = np.array([option.requests_per_second for option in options], dtype=np.float64).reshape(
        len(options), len(demand)
    )
    member = np.full(len(demand), -1, dtype=np.int64)
    wanted = np.flatnonzero(demand > 0)
    if not len(wanted):
        return Buckets(loads=np.zeros((len(options), 0)), member=member)
    with np.errstate(divide="ignore"):
        loads = demand[wanted] / rates[:, wanted]
    least = loads.min(axis=0)
    shape = np.where(np.isfinite(loads), loads / np.where(np.isfinite(least), least, 1.0), np.inf)
    keys = loads if workload.whole_buckets else np.round(shape, _DIGITS)
    _, first, inverse = np.unique(keys.T, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    if workload.whole_buckets:
        order = np.lexsort(loads[::-1])
        member[wanted[order]] = np.arange(len(wanted))
        return Buckets(loads=loads[:, order], member=member)
    merged = np.zeros((len(options), len(first)))
    np.add.at(merged.T, inverse, loads.T)
    member[wanted] = inverse
    return Buckets(loads=merged, member=member)
