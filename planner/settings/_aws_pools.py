"""Faults between the kind of a GPU pool and what is said of its machines on AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from planner.faults import Fault
from planner.settings._raw import map_at

__all__ = ["pool_faults"]

_NODES = "aws.gpu_nodes"
# What each kind leaves to EKS.
_DECIDED_BY_EKS = {
    "managed-node-group": {
        "image_version": "a group takes the newest image when it is made, and keeps it until its update",
        "expire_after_hours": "machines of a group have no age at which they go",
    },
    "auto-mode": {
        "image": "it brings its own image",
        "image_version": "it brings its own image",
        "device_plugin": "its image brings the device plugin",
    },
}
_OLDEST_HOURS = 21 * 24
"""EKS Auto Mode replaces every machine within 21 days.
Source: https://docs.aws.amazon.com/eks/latest/userguide/automode-learn-instances.html"""


def pool_faults(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """What a managed node group and EKS Auto Mode do not take."""
    kind, nodes = map_at(raw, "gpu_pool").get("kind", "karpenter"), map_at(raw, "aws", "gpu_nodes")
    if not isinstance(kind, str) or kind not in _DECIDED_BY_EKS:
        return
    for key, why in _DECIDED_BY_EKS[kind].items():
        if key in nodes:
            fix = f"remove {key}, or set gpu_pool.kind: karpenter"
            yield Fault(
                what=f"`{key}` is left to EKS where gpu_pool.kind is {kind}: {why}", where=f"{where}: {_NODES}.{key}",
                fix=fix,
            )  # fmt: skip
    if map_at(raw, "gpu_pool").get("node_class"):
        yield Fault(
            what=f"a node class is Karpenter's, and the pool is of kind {kind}", where=f"{where}: gpu_pool.node_class",
            fix="remove node_class, or set gpu_pool.kind: karpenter",
        )
    hours = nodes.get("expire_after_hours")
    if kind == "auto-mode" and isinstance(hours, int) and hours > _OLDEST_HOURS:
        yield Fault(
            what=f"EKS Auto Mode keeps no machine longer than {_OLDEST_HOURS} hours, and {hours} are asked for",
            where=f"{where}: {_NODES}.expire_after_hours", nearest=f"largest allowed: {_OLDEST_HOURS}",
            fix=f"set expire_after_hours to {_OLDEST_HOURS} or less",
        )
    if kind == "managed-node-group":
        yield from _group_faults(raw, where)


def _group_faults(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    pool, nodes = map_at(raw, "gpu_pool"), map_at(raw, "aws", "gpu_nodes")
    if isinstance(pool.get("spot"), Mapping):
        yield Fault(
            what="a floor for each model needs nodes that are made for its pods, and a managed node group has a number",
            where=f"{where}: gpu_pool.spot", nearest="spot: true with aws.gpu_nodes.on_demand_gpus",
            fix="set spot to true or false, or gpu_pool.kind: karpenter",
        )
    reservations = nodes.get("capacity_reservations")
    if isinstance(reservations, list | tuple) and reservations:
        yield from _reservation_faults(raw, len(reservations), f"{where}: {_NODES}.capacity_reservations")


def _reservation_faults(raw: Mapping[str, Any], count: int, path: str) -> Iterator[Fault]:
    models = [model for model in map_at(raw, "models").values() if isinstance(model, Mapping)]
    on_gpus = [model for model in models if model.get("engine", "vllm") == "vllm"]
    zones = map_at(raw, "aws", "gpu_nodes").get("zones")
    if count > 1:
        yield Fault(
            what=f"a managed node group takes one reservation, and {count} are named", where=path,
            fix="name one, or set gpu_pool.kind: karpenter, which takes several",
        )
    if len(on_gpus) > 1:
        yield Fault(
            what="a reservation is of one instance type, and each model has a node group of its own", where=path,
            fix="give each model a stack, or set gpu_pool.kind: karpenter",
        )
    if not isinstance(zones, list | tuple) or len(zones) != 1:
        yield Fault(
            what="a reservation is of one zone, and the group's machines could stand in others", where=path,
            fix="name the zone of the reservation: aws: {gpu_nodes: {zones: [<zone>]}}",
        )
    if map_at(raw, "gpu_pool").get("spot"):
        yield Fault(
            what="reserved machines are on demand, and gpu_pool.spot asks for interruptible ones", where=path,
            fix="set gpu_pool.spot: false",
        )
