"""From an allocation to what a model and the stack are told of it: replicas, nodes and money by way of purchase."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from planner.allocation import Allocation, Node, Option, Problem
from planner.sizing.pools import PoolBook
from planner.sizing.types import SizedNode

__all__ = ["Placed", "nodes_of", "placed"]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """One model in an allocation; ``usd_per_hour`` is the rent of its nodes."""

    replicas: int
    spot_replicas: int
    nodes: int
    owned_nodes: int
    usd_per_hour: float


def placed(name: str, allocation: Allocation) -> Placed:
    """Where the replicas of a model are. Owned nodes may be shared with others; rented ones are its own."""
    hosting = [(node, sum(p.count for p in node.pods if p.workload == name)) for node in allocation.nodes]
    hosting = [(node, count) for node, count in hosting if count]
    return Placed(
        replicas=sum(count for _, count in hosting),
        spot_replicas=sum(count for node, count in hosting if node.purchase == "spot"),
        nodes=len(hosting),
        owned_nodes=sum(node.purchase == "owned" for node, _ in hosting),
        usd_per_hour=math.fsum(node.usd_per_hour for node, _ in hosting),
    )


def nodes_of(problem: Problem, allocation: Allocation, book: PoolBook) -> tuple[SizedNode, ...]:
    """All nodes of a plan with what is on them, equal ones together, in a stable order."""
    options = {
        (workload.name, option.name): option for workload in problem.all_workloads() for option in workload.options
    }
    counted: dict[str, SizedNode] = {}
    for node in allocation.nodes:
        one = _described(node, book, options)
        key = one.model_copy(update={"count": 0}).model_dump_json()
        counted[key] = one.model_copy(update={"count": counted[key].count + 1}) if key in counted else one
    return tuple(counted[key] for key in sorted(counted))


def _described(node: Node, book: PoolBook, options: Mapping[tuple[str, str], Option]) -> SizedNode:
    instance = book.instance(node.pool)
    pods = [(pods.count, options[pods.workload, pods.option]) for pods in node.pods]
    return SizedNode(
        instance_type=instance.name,
        purchase=node.purchase if book.price_known(node.pool) else "on-demand, price unknown",
        zone=node.zone or "",
        count=1,
        pods={_path(pods.workload): pods.count for pods in sorted(node.pods, key=lambda pods: pods.workload)},
        gpus=instance.gpus,
        gpus_used=sum(count * option.gpus for count, option in pods),
        vcpu=instance.vcpu,
        vcpu_used=sum(count * option.vcpu for count, option in pods),
        memory_gib=instance.memory_gib,
        memory_gib_used=sum(count * option.memory_gib for count, option in pods),
    )


def _path(workload: str) -> str:
    """Models on GPUs go by their names in a problem; what has no GPU goes by its path."""
    return workload if "." in workload else f"models.{workload}"
