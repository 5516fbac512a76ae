"""GeneralNodes: the pool for pods that need no GPU: applications, jobs, monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components._base import Component
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
from planner.plan import AwsPlan, ClusterPlan

__all__ = ["GeneralNodes", "GeneralNodesArgs"]

_NAME = "general"
_IMAGE = "bottlerocket@latest"
# EKS Auto Mode allows three weeks.
_EXPIRE_HOURS, _AUTO_EXPIRE_HOURS = 720, 336


@dataclass(frozen=True, kw_only=True)
class GeneralNodesArgs:
    """What the pool is given.

    Attributes:
        aws: account, region and tags.
        cluster: the plan's decisions: types and the limit.
        node_role: name of the nodes' IAM role.
        subnet_tag: key of the tag on subnets and on the cluster's security group.
    """

    aws: AwsPlan
    cluster: ClusterPlan
    node_role: str
    subnet_tag: str


class GeneralNodes(Component):
    """A node class (of Karpenter or of EKS Auto Mode) and a NodePool without taint, limited in processors and packed
    tightly."""

    pool: KubernetesObject

    def __init__(self, name: str, args: GeneralNodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        decided = args.cluster
        where: dict[str, Any] = {
            "role": args.node_role, "subnet_tags": {args.subnet_tag: "*"}, "tags": args.aws.tags,
            "security_group_tags": {args.subnet_tag: "owned"}, "volume_gib": decided.general_volume_gib,
        }  # fmt: skip
        api, kind = (AUTO_CLASS_API, "NodeClass") if decided.auto_mode else (NODE_CLASS_API, "EC2NodeClass")
        node_class = KubernetesObject(
            api, kind, f"{name}-class",
            metadata={"name": _NAME},
            spec=auto_class_spec(**where) if decided.auto_mode else node_class_spec(image_alias=_IMAGE, **where),
            opts=self.child(),
        )
        self.pool = KubernetesObject(
            "karpenter.sh/v1", "NodePool", name,
            metadata={"name": _NAME},
            spec=node_pool_spec(
                node_class=(auto_class_ref if decided.auto_mode else node_class_ref)(_NAME),
                instance_types=decided.general_types,
                capacity_types=["on-demand", "spot"] if decided.general_spot else ["on-demand"],
                zones=(),
                labels={},
                taints=(),
                limits={"cpu": str(decided.general_cpu_cores)},
                expire_after_hours=_AUTO_EXPIRE_HOURS if decided.auto_mode else _EXPIRE_HOURS,
                # Streams end within a pod's grace period, so these nodes may be packed anew while they are used.
                disruption={
                    "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "5m",
                    "budgets": [{"nodes": "10%"}],
                },
            ),
            opts=self.child(depends_on=[node_class]),
        )
        self.register_outputs({})
