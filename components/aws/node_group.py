"""NodeGroup: machines that EKS keeps at a number, for what makes other machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components._base import Component
from components._node_group import GroupArgs, group_role, managed_group
from planner.plan import AwsPlan

__all__ = ["NodeGroup", "NodeGroupArgs"]


@dataclass(frozen=True, kw_only=True)
class NodeGroupArgs:
    """What a node group is given.

    Attributes:
        aws: account, region and the cluster's name.
        cluster_name: the cluster, as an output where the same program makes it.
        role_name: name of the nodes' IAM role.
        subnet_ids: subnets of the machines.
        instance_types: in order of preference.
        ami_type: EKS' name of the machine image, a Bottlerocket one.
        count: smallest and largest number of machines.
        volume_gib: disk for images and pods.
        labels: of the nodes.
        taint: key of a taint NoSchedule with value true.
        cache_prefixes: repositories that the nodes may have ECR fetch.
    """

    aws: AwsPlan
    cluster_name: pulumi.Input[str]
    role_name: str
    subnet_ids: Sequence[pulumi.Input[str]]
    instance_types: Sequence[str]
    ami_type: str
    count: tuple[int, int]
    volume_gib: int
    labels: Mapping[str, str]
    taint: str
    cache_prefixes: Sequence[str] = ()


class NodeGroup(Component):
    """A managed node group: encrypted disks, a metadata service that pods cannot reach, one machine replaced at a time.

    Outputs:
        role_arn: the nodes' IAM role.
    """

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: NodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        plan = args.aws
        role, rights = group_role(
            self, name, plan=plan, role_name=args.role_name, cache_prefixes=args.cache_prefixes
        )  # fmt: skip
        group = GroupArgs(
            template=f"{plan.cluster_name}-{name}", cluster_name=args.cluster_name, role_arn=role.arn,
            subnet_ids=list(args.subnet_ids), instance_types=args.instance_types, ami_type=args.ami_type,
            count=args.count, volume_gib=args.volume_gib, labels=args.labels, taint=args.taint,
        )  # fmt: skip
        managed_group(self, name, group, plan=plan, rights=rights)
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})
