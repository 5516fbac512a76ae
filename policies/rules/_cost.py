"""What a workload's machines cost at maximum scale: instance type x maximum count x list price."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ._model import Pod
from ._node import Node
from ._pools import INSTANCE_LABELS, Pool, Unpriced, priced, values_of
from ._prices import Instance
from ._scale import Demand

__all__ = ["Cost", "workload_cost"]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """``nodes`` machines of type ``instance``."""

    instance: Instance
    nodes: int

    @property
    def usd_per_month(self) -> float:
        return self.nodes * (self.instance.usd_per_month or 0.0)


def workload_cost(demand: Demand, available: Sequence[Pool]) -> Cost | None:
    """The dearest way its pods can be placed; None for pods on shared nodes, which no stack owns.

    Counted are pods that name their instance type, and pods with GPUs, whose type otherwise follows from the pools of
    the stack that accept them.

    Raises:
        Unpriced: pods with GPUs of which no type is known, or a type without a price, or one too small for a pod.
    """
    named = [node for pod in demand.found.pods for node in _types(pod)]
    candidates = [(priced(node), node.path) for node in named]
    pods = demand.found.pods
    if not candidates and demand.gpus:
        path = pods[0].spec.get("nodeSelector").path
        accepting = [pool for pool in available if all(pool.accepts(pod) for pod in pods)]
        candidates = [(instance, path) for pool in accepting for instance in pool.types if instance.gpus >= demand.gpus]
        if not candidates:
            raise Unpriced(f"its pods use GPUs, but neither they nor a pool of the stack name a machine for them "
                           f"({INSTANCE_LABELS[0]})", path)
    costs = [_filled(demand, instance, path) for instance, path in candidates]
    return max(costs, key=lambda cost: cost.usd_per_month, default=None)


def _filled(demand: Demand, instance: Instance, path: str) -> Cost:
    """As many pods share a node as its GPUs allow; pods without GPUs are spread one a node, as our defaults do."""
    if demand.gpus > instance.gpus:
        raise Unpriced(f"a pod wants {demand.gpus:g} GPUs and its instance type has {instance.gpus}", path)
    per_node = math.floor(instance.gpus / demand.gpus) if demand.gpus else 1
    return Cost(instance=instance, nodes=math.ceil(demand.replicas / per_node))


def _types(pod: Pod) -> Iterator[Node]:
    for label in INSTANCE_LABELS:
        node = pod.spec.get("nodeSelector", label)
        if node.exists:
            yield node
    required = pod.spec.get("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    for term in required.get("nodeSelectorTerms").elements():
        yield from values_of(term.get("matchExpressions"), INSTANCE_LABELS)
