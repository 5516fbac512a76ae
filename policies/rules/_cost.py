"""What a workload's machines cost at maximum scale: instance type x maximum count x list price."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ._model import Pod
from ._node import Node
from ._pools import INSTANCE_LABELS, Pool, Unpriced, priced, values_of
from ._prices import Instance
from ._scale import Demand, Part

__all__ = ["Cost", "workload_cost"]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """``nodes`` machines of type ``instance``."""

    instance: Instance
    nodes: int

    @property
    def usd_per_month(self) -> float:
        return self.nodes * (self.instance.usd_per_month or 0.0)


def workload_cost(demand: Demand, available: Sequence[Pool]) -> tuple[Cost, ...]:
    """The dearest way its pods can be placed, by template; nothing for pods on shared nodes, which no stack owns.

    Counted are pods that name their instance type, and pods with GPUs, whose type otherwise follows from the pools of
    the stack that accept them.

    Raises:
        Unpriced: pods with GPUs of which no type is known, or a type without a price, or one too small for a pod.
    """
    costs = (_cost(part, available) for part in demand.parts if part.count)
    return tuple(cost for cost in costs if cost is not None)


def _cost(part: Part, available: Sequence[Pool]) -> Cost | None:
    candidates = [(priced(node), node.path) for node in _types(part.pod)]
    if not candidates and part.gpus:
        path = part.pod.spec.get("nodeSelector").path
        accepting = [pool for pool in available if pool.accepts(part.pod)]
        candidates = [(instance, path) for pool in accepting for instance in pool.types if instance.gpus >= part.gpus]
        if not candidates:
            missing = f"its pods use GPUs, but nothing in the stack names a machine for them ({INSTANCE_LABELS[0]})"
            raise Unpriced(missing, path)
    costs = [_filled(part, instance, path) for instance, path in candidates]
    return max(costs, key=lambda cost: cost.usd_per_month, default=None)


def _filled(part: Part, instance: Instance, path: str) -> Cost:
    """As many pods share a node as its GPUs allow; pods without GPUs are spread one a node, as our defaults do."""
    if part.gpus > instance.gpus:
        raise Unpriced(f"a pod wants {part.gpus:g} GPUs and its instance type has {instance.gpus}", path)
    per_node = math.floor(instance.gpus / part.gpus) if part.gpus else 1
    return Cost(instance=instance, nodes=math.ceil(part.count / per_node))


def _types(pod: Pod) -> Iterator[Node]:
    for label in INSTANCE_LABELS:
        node = pod.spec.get("nodeSelector", label)
        if node.exists:
            yield node
    required = pod.spec.get("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    for term in required.get("nodeSelectorTerms").elements():
        yield from values_of(term.get("matchExpressions"), INSTANCE_LABELS)
