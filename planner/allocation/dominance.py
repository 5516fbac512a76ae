"""Options that a plan never needs, because another one of the same workload does the same with less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from planner.allocation.problem import Option, Workload

__all__ = ["useful_options"]

_TOLERANCE = 1e-12


def useful_options(workload: Workload) -> Workload:
    """The workload without its dominated options; the least cost stays what it was.

    Every plan with a dominated option can swap each of its replicas for those of the other, on the same node, in the
    same room. One replica may become several smaller ones only where nothing counts replicas from above or by share:
    no maximum, no limit per node, no zones, no share kept off spot.
    """
    spread, spot = workload.spread, workload.spot
    several = workload.max_replicas is None and spread.max_per_node is None and spread.min_zones == 1
    several = several and (spot is None or spot.floor_fraction == 0)
    kept: list[Option] = []
    # Smallest first: an option can only be replaced by one that takes no more room, and of two equal ones the first
    # stays.
    for option in sorted(
        workload.options, key=lambda o: (o.gpus * o.shards, o.vcpu, o.memory_gib, -sum(o.requests_per_second))
    ):
        if not any(_replaces(other, option, several) for other in kept):
            kept.append(option)
    names = {option.name for option in kept}
    return replace(workload, options=tuple(option for option in workload.options if option.name in names))


def _replaces(other: Option, option: Option, several: bool) -> bool:
    if (other.gpu_type, other.pools, other.shards) != (option.gpu_type, option.pools, option.shards):
        return False
    times = _how_often(_room(other), _room(option)) if several and option.shards == 1 else 1
    return (
        times >= 1
        and all(small * times <= large + _TOLERANCE for small, large in zip(_room(other), _room(option), strict=True))
        and all(
            times * rate >= needed * (1 - _TOLERANCE)
            for rate, needed in zip(other.requests_per_second, option.requests_per_second, strict=True)
        )
    )


def _room(option: Option) -> Sequence[float]:
    return (float(option.gpus), option.vcpu, option.memory_gib)


def _how_often(small: Sequence[float], large: Sequence[float]) -> int:
    return min((math.floor(b / a + _TOLERANCE) for a, b in zip(small, large, strict=True) if a), default=1)
