"""ManagedGpuPool: GPU machines that EKS keeps in node groups, where no autoscaler is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components._base import Component
from components._node_group import GroupArgs, group_role, managed_group
from planner.plan import AwsPlan, GpuGroupPlan, GpuNodesPlan, GpuPoolPlan

__all__ = ["ManagedGpuPool", "ManagedGpuPoolArgs"]

_TAINT = "nvidia.com/gpu"
_POOL_LABEL, _PLUGIN_LABEL = "llmagentos.dev/pool", "llmagentos.dev/device-plugin"
# By this one the GPU exporter finds machines that Karpenter has not labelled.
_GPU_LABEL = "nvidia.com/gpu.present"


@dataclass(frozen=True, kw_only=True)
class ManagedGpuPoolArgs:
    """What a pool is given.

    Attributes:
        aws: account, region and the cluster's name.
        pool: the plan's decisions. Names carry the stack, because clusters are shared.
        nodes: the plan's decisions about the machines.
        subnet_ids: subnets of the cluster's nodes.
    """

    aws: AwsPlan
    pool: GpuPoolPlan
    nodes: GpuNodesPlan
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]


class ManagedGpuPool(Component):
    """Node groups of a fixed number of machines, one for each model and way of purchase, behind one taint.

    Every model has as many machines as it needs at its maximum: nothing makes a group larger when pods wait. The
    machines come up before the servers, and go after them.

    Outputs:
        node_selector: labels that pods of the pool must select.
    """

    node_selector: dict[str, str]

    def __init__(self, name: str, args: ManagedGpuPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self._args = args
        role, self._rights = group_role(self, name, plan=args.aws, role_name=args.nodes.role)
        for group in args.nodes.groups:
            self._group(f"{name}-{group.model}", group, role.arn, count=group.on_demand, spot=False)
            self._group(f"{name}-{group.model}-spot", group, role.arn, count=group.spot, spot=True)
        self.node_selector = {_POOL_LABEL: args.pool.name}
        self.register_outputs({"node_selector": self.node_selector})

    def _group(
        self, name: str, group: GpuGroupPlan, role_arn: pulumi.Output[str], *, count: int, spot: bool
    ) -> None:
        if not count:
            return
        pool, nodes = self._args.pool, self._args.nodes
        plugin = {_PLUGIN_LABEL: "true"} if nodes.device_plugin else {}
        args = GroupArgs(
            template=f"{pool.name}-{group.model}{'-spot' if spot else ''}",
            cluster_name=self._args.aws.cluster_name, role_arn=role_arn, subnet_ids=self._args.subnet_ids,
            instance_types=group.instance_types, ami_type=nodes.ami_type, count=(count, count),
            volume_gib=nodes.volume_gib, labels={_POOL_LABEL: pool.name, _GPU_LABEL: "true", **plugin}, taint=_TAINT,
            spot=spot, reservation=next(iter(nodes.capacity_reservations), ""),
        )  # fmt: skip
        managed_group(self, name, args, plan=self._args.aws, rights=self._rights)
