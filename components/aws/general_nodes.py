"""GeneralNodes: Karpenter's pool for pods that need no GPU: applications, jobs, monitoring."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._base import Component
from components._ec2_nodes import NODE_CLASS_API, node_class_ref, node_class_spec, node_pool_spec
from components._kubernetes import KubernetesObject
from planner.plan import AwsPlan, ClusterPlan

__all__ = ["GeneralNodes", "GeneralNodesArgs"]

_NAME = "general"
_IMAGE = "bottlerocket@latest"
_EXPIRE_HOURS = 720


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
    """An EC2NodeClass and a NodePool without taint, limited in processors and packed tightly."""

    pool: KubernetesObject

    def __init__(self, name: str, args: GeneralNodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        decided = args.cluster
        node_class = KubernetesObject(
            NODE_CLASS_API, "EC2NodeClass", f"{name}-class",
            metadata={"name": _NAME},
            spec=node_class_spec(
                image_alias=_IMAGE, role=args.node_role, subnet_tags={args.subnet_tag: "*"},
                security_group_tags={args.subnet_tag: "owned"}, volume_gib=decided.general_volume_gib,
                tags=args.aws.tags,
            ),
            opts=self.child(),
        )
        self.pool = KubernetesObject(
            "karpenter.sh/v1", "NodePool", name,
            metadata={"name": _NAME},
            spec=node_pool_spec(
                node_class=node_class_ref(_NAME),
                instance_types=decided.general_types,
                capacity_types=["on-demand", "spot"] if decided.general_spot else ["on-demand"],
                zones=(),
                labels={},
                taints=(),
                limits={"cpu": str(decided.general_cpu_cores)},
                expire_after_hours=_EXPIRE_HOURS,
                # Streams end within a pod's grace period, so these nodes may be packed anew while they are used.
                disruption={
                    "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "5m",
                    "budgets": [{"nodes": "10%"}],
                },
            ),
            opts=self.child(depends_on=[node_class]),
        )
        self.register_outputs({})
