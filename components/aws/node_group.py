"""NodeGroup: machines that EKS keeps at a number, for what makes other machines, and for GPUs where no autoscaler is
wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components._aws import NODE_POLICIES, attach, cache_policy, service_trust
from components._base import Component
from planner.plan import AwsPlan

__all__ = ["NodeGroup", "NodeGroupArgs"]

# Bottlerocket keeps its system on the first disk, images and pods on the second.
_SYSTEM_DISK, _DATA_DISK, _SYSTEM_GIB = "/dev/xvda", "/dev/xvdb", 4


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
        spot: interruptible machines.
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
    spot: bool = False


class NodeGroup(Component):
    """A managed node group: encrypted disks, a metadata service that pods cannot reach, one machine replaced at a time.

    Outputs:
        role_arn: the nodes' IAM role.
    """

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: NodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        plan = args.aws
        role = aws.iam.Role(
            f"{name}-role",
            name=args.role_name,
            assume_role_policy=service_trust(plan, "ec2.amazonaws.com"),
            opts=self.child(),
        )
        rights = attach(self, role, name, plan, NODE_POLICIES)
        if args.cache_prefixes:
            rights.append(
                aws.iam.RolePolicy(
                    f"{name}-cache", name="cache", role=role.name, policy=cache_policy(plan, args.cache_prefixes),
                    opts=self.child(),
                )
            )
        template = aws.ec2.LaunchTemplate(
            f"{name}-template",
            name=f"{plan.cluster_name}-{name}",
            update_default_version=True,
            metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
            block_device_mappings=[_disk(_SYSTEM_DISK, _SYSTEM_GIB), _disk(_DATA_DISK, args.volume_gib)],
            tag_specifications=[
                {"resource_type": kind, "tags": {**plan.tags, "Name": f"{plan.cluster_name}-{name}"}}
                for kind in ("instance", "volume")
            ],
            opts=self.child(),
        )
        least, most = args.count
        aws.eks.NodeGroup(
            name,
            # No name of its own: a replace makes the new group beside the old one, and two names would clash.
            cluster_name=args.cluster_name,
            node_role_arn=role.arn,
            subnet_ids=list(args.subnet_ids),
            ami_type=args.ami_type,
            capacity_type="SPOT" if args.spot else "ON_DEMAND",
            instance_types=list(args.instance_types),
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={"min_size": least, "desired_size": least, "max_size": most},
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": True},
            labels=dict(args.labels),
            taints=[{"key": args.taint, "value": "true", "effect": "NO_SCHEDULE"}],
            opts=self.child(
                depends_on=rights, ignore_changes=["scalingConfig.desiredSize"] if most > least else None
            ),
        )
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})


def _disk(device: str, gib: int) -> dict[str, Any]:
    ebs = {"volume_size": gib, "volume_type": "gp3", "encrypted": "true", "delete_on_termination": "true"}
    return {"device_name": device, "ebs": ebs}
