"""What a pod may ask of a node, and how many nodes some replicas fill."""

from __future__ import annotations

import math

from planner.catalogue import InstanceType

__all__ = ["NODE_SHARE", "nodes_filled", "pod_share"]

NODE_SHARE = 0.75
"""Share of a node that pods may ask for. The rest is the kubelet's reservation, DaemonSets and the device plugin; on
the smallest GPU nodes (4 vCPU, 16 GiB) these take about a fifth."""


def pod_share(instance: InstanceType, gpus: float) -> tuple[int, int]:
    """Cores and GiB of main memory that a replica with that many GPUs, or a part of one, requests of such a node."""
    share = NODE_SHARE * gpus / instance.gpus
    return max(1, math.floor(instance.vcpu * share)), max(1, math.floor(instance.memory_gib * share))


def nodes_filled(replicas: int, *, per_node: int, zones: int = 1, one_per_node: bool = False) -> int:
    """Nodes of a model's own that its replicas fill.

    Args:
        replicas: of the model.
        per_node: that its GPUs leave room for on a node, at least 1.
        zones: over which the replicas are spread evenly.
        one_per_node: whether no two may share a node.
    """
    if one_per_node:
        return replicas
    each, rest = divmod(replicas, zones)
    return rest * math.ceil((each + 1) / per_node) + (zones - rest) * math.ceil(each / per_node)
