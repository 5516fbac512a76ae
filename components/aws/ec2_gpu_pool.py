"""Ec2GpuPool: GPU nodes of EC2, made by Karpenter or by EKS Auto Mode when model servers need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components._base import Component, Identity
from components._ec2_nodes import (
    AUTO_CLASS_API,
    NODE_CLASS_API,
    auto_class_ref,
    auto_class_spec,
    node_class_ref,
    node_class_spec,
    node_pool_spec,
)
from components._kubernetes import KubernetesObject
from planner.plan import AwsPlan, GpuNodesPlan, GpuPoolPlan

__all__ = ["Ec2GpuPool", "Ec2GpuPoolArgs"]

_TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
_POOL_LABEL = "llmagentos.dev/pool"
# The cluster's device plugin runs where this label is, so never beside an image that brings its own.
_PLUGIN_LABEL = "llmagentos.dev/device-plugin"
# Loading a model takes minutes of a paid machine, so an idle one waits that long for the next pod, and machines that
# drift from their class (a newer image) are replaced one at a time.
_DISRUPTION = {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "5m", "budgets": [{"nodes": "1"}]}
_FLOOR_WEIGHT = 100


@dataclass(frozen=True, kw_only=True)
class Ec2GpuPoolArgs:
    """What a pool is given.

    Attributes:
        identity: stack and namespace.
        aws: account and region; its tags go to machines and disks.
        pool: the plan's decisions: types and limits. Names carry the stack, because clusters are shared.
        nodes: the plan's decisions about the machines.
    """

    identity: Identity
    aws: AwsPlan
    pool: GpuPoolPlan
    nodes: GpuNodesPlan


class Ec2GpuPool(Component):
    """An EC2NodeClass, or EKS Auto Mode's NodeClass, and its NodePools, kept free of other pods by a taint.

    With spot there are two pools: the floor on demand, filled first, and the rest on spot. Karpenter knows no share of
    on-demand machines within a pool.

    Outputs:
        node_selector: labels that pods of the pool must select.
    """

    node_selector: dict[str, str]

    def __init__(self, name: str, args: Ec2GpuPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self._args = args
        pool, nodes = args.pool, args.nodes
        node_class = self._auto_class(name) if nodes.auto_mode else self._karpenters_class(name)
        floor = min(nodes.on_demand_gpus, pool.max_gpus)
        # A pool without a floor under it keeps the name, so that spot can be turned on without new machines.
        if floor and pool.max_gpus > floor:
            self._pool(f"{name}-floor", f"{pool.name}-floor", node_class, gpus=floor, spot=False, weight=_FLOOR_WEIGHT)
        on_spot = pool.spot and pool.max_gpus > floor
        self._pool(name, pool.name, node_class, gpus=pool.max_gpus - floor if on_spot else pool.max_gpus, spot=on_spot)
        self.node_selector = {_POOL_LABEL: pool.name}
        self.register_outputs({"node_selector": self.node_selector})

    def _karpenters_class(self, name: str) -> KubernetesObject:
        args, nodes = self._args, self._args.nodes
        return KubernetesObject(
            NODE_CLASS_API, "EC2NodeClass", f"{name}-class",
            metadata={"name": args.pool.name, "labels": args.identity.labels(name, "gpu-pool")},
            spec=node_class_spec(
                image_alias=nodes.image_alias, role=nodes.role, subnet_tags=nodes.subnet_tags,
                security_group_tags=nodes.security_group_tags, volume_gib=nodes.volume_gib, tags=args.aws.tags,
                capacity_reservations=nodes.capacity_reservations,
            ),
            opts=self.child(),
        )

    def _auto_class(self, name: str) -> KubernetesObject:
        args, nodes = self._args, self._args.nodes
        return KubernetesObject(
            AUTO_CLASS_API, "NodeClass", f"{name}-class",
            metadata={"name": args.pool.name, "labels": args.identity.labels(name, "gpu-pool")},
            spec=auto_class_spec(
                role=nodes.role, subnet_tags=nodes.subnet_tags, security_group_tags=nodes.security_group_tags,
                volume_gib=nodes.volume_gib, tags=args.aws.tags, capacity_reservations=nodes.capacity_reservations,
            ),
            opts=self.child(),
        )

    def _pool(
        self, name: str, object_name: str, node_class: KubernetesObject, *, gpus: int, spot: bool, weight: int = 0
    ) -> None:
        args, nodes = self._args, self._args.nodes
        reserved = ["reserved"] if nodes.capacity_reservations else []
        plugin: dict[str, str] = {_PLUGIN_LABEL: "true"} if nodes.device_plugin else {}
        spec: dict[str, Any] = node_pool_spec(
            node_class=(auto_class_ref if nodes.auto_mode else node_class_ref)(args.pool.name),
            instance_types=args.pool.instance_types,
            capacity_types=[*reserved, "spot" if spot else "on-demand"],
            zones=nodes.zones,
            labels={_POOL_LABEL: args.pool.name, **plugin},
            taints=[_TAINT],
            limits={"nvidia.com/gpu": str(gpus)},
            expire_after_hours=nodes.expire_after_hours,
            disruption=_DISRUPTION,
            weight=weight,
        )
        KubernetesObject(
            "karpenter.sh/v1", "NodePool", name,
            metadata={"name": object_name, "labels": args.identity.labels(name, "gpu-pool")},
            spec=spec,
            # Deleted before the class: Karpenter has to drain the nodes, and reads their class while it does.
            opts=self.child(depends_on=[node_class]),
        )
