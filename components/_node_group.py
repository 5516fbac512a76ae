"""Managed node groups of EKS: their role, their launch template and the group, for whoever needs machines of a number.

Source: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components._aws import NODE_POLICIES, attach, cache_policy, service_trust
from components._base import Component
from planner.plan import AwsPlan

__all__ = ["GroupArgs", "group_role", "managed_group"]

# Bottlerocket keeps its system on the first disk, images and pods on the second; Amazon Linux has one.
_SYSTEM_DISK, _DATA_DISK, _SYSTEM_GIB = "/dev/xvda", "/dev/xvdb", 4


@dataclass(frozen=True, kw_only=True)
class GroupArgs:
    """What a node group is made of.

    Attributes:
        template: name of the launch template, unique in the region.
        cluster_name: the cluster, as an output where the same program makes it.
        role_arn: the machines' IAM role.
        subnet_ids: subnets of the machines.
        instance_types: in order of preference.
        ami_type: EKS' name of the machine image.
        count: smallest and largest number of machines.
        volume_gib: disk for images and pods.
        labels: of the nodes.
        taint: key of a taint NoSchedule with value true.
        spot: interruptible machines.
        reservation: id of an on-demand capacity reservation that the machines are taken from.
    """

    template: str
    cluster_name: pulumi.Input[str]
    role_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    instance_types: Sequence[str]
    ami_type: str
    count: tuple[int, int]
    volume_gib: int
    labels: Mapping[str, str] = field(default_factory=dict)
    taint: str = ""
    spot: bool = False
    reservation: str = ""


def group_role(
    component: Component, name: str, *, plan: AwsPlan, role_name: str, cache_prefixes: Sequence[str] = ()
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """The role of machines, and what it needs before they can join.

    Args:
        component: its parent.
        name: begins the names of its resources.
        plan: account and region.
        role_name: name in IAM.
        cache_prefixes: repositories that the machines may have ECR fetch.
    """
    role = aws.iam.Role(
        f"{name}-role", name=role_name, assume_role_policy=service_trust(plan, "ec2.amazonaws.com"),
        opts=component.child(),
    )  # fmt: skip
    rights: list[pulumi.Resource] = attach(component, role, name, plan, NODE_POLICIES)
    if cache_prefixes:
        policy = cache_policy(plan, cache_prefixes)
        rights.append(
            aws.iam.RolePolicy(f"{name}-cache", name="cache", role=role.name, policy=policy, opts=component.child())
        )
    return role, rights


def managed_group(
    component: Component, name: str, args: GroupArgs, *, plan: AwsPlan, rights: Sequence[pulumi.Resource]
) -> aws.eks.NodeGroup:
    """A group with encrypted disks and a metadata service that pods cannot reach, one machine replaced at a time.

    Args:
        component: its parent.
        name: logical name.
        args: what it is made of.
        plan: tags of machines and disks.
        rights: what must be there before a machine starts, and until the last one has gone.
    """
    tags = {**plan.tags, "Name": args.template}
    reservation = {"capacity_reservation_target": {"capacity_reservation_id": args.reservation}}
    template = aws.ec2.LaunchTemplate(
        f"{name}-template",
        name=args.template,
        update_default_version=True,
        metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
        block_device_mappings=_disks(args),
        tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume")],
        capacity_reservation_specification=reservation if args.reservation else None,
        opts=component.child(),
    )
    least, most = args.count
    taints = [{"key": args.taint, "value": "true", "effect": "NO_SCHEDULE"}] if args.taint else None
    return aws.eks.NodeGroup(
        name,
        # No name of its own: a replace makes the new group beside the old one, and two names would clash.
        cluster_name=args.cluster_name,
        node_role_arn=args.role_arn,
        subnet_ids=args.subnet_ids,
        ami_type=args.ami_type,
        capacity_type="SPOT" if args.spot else "ON_DEMAND",
        instance_types=list(args.instance_types),
        launch_template={"id": template.id, "version": template.latest_version.apply(str)},
        scaling_config={"min_size": least, "desired_size": least, "max_size": most},
        update_config={"max_unavailable": 1},
        node_repair_config={"enabled": True},
        labels=dict(args.labels),
        taints=taints,
        opts=component.child(
            depends_on=rights, ignore_changes=["scalingConfig.desiredSize"] if most > least else None
        ),
    )


def _disks(args: GroupArgs) -> list[dict[str, Any]]:
    if args.ami_type.startswith("BOTTLEROCKET"):
        return [_disk(_SYSTEM_DISK, _SYSTEM_GIB), _disk(_DATA_DISK, args.volume_gib)]
    return [_disk(_SYSTEM_DISK, args.volume_gib)]


def _disk(device: str, gib: int) -> dict[str, Any]:
    ebs = {"volume_size": gib, "volume_type": "gp3", "encrypted": "true", "delete_on_termination": "true"}
    return {"device_name": device, "ebs": ebs}
