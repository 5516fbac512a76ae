"""EKS Auto Mode: which rights it takes, and how names are asked for where it serves them.

Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-learn-iam.html
"""

from __future__ import annotations

from typing import Any

from components._aws import allow, document
from planner.plan import AwsPlan

__all__ = ["AUTO_NODE_POLICIES", "AUTO_POLICIES", "auto_mode_dns", "auto_mode_tags"]

AUTO_POLICIES = (
    "AmazonEKSBlockStoragePolicy", "AmazonEKSComputePolicy", "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)  # fmt: skip
"""Of the cluster's role, by which EKS does what add-ons and controllers elsewhere do by roles of their own."""
AUTO_NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy")
"""Of the nodes' role."""
_KINDS = (
    "fleet", "instance", "launch-template", "network-interface", "security-group", "spot-instances-request", "subnet",
    "volume",
)  # fmt: skip
# The tenth address of the two ranges that EKS gives Services: https://docs.aws.amazon.com/eks/latest/APIReference/
# API_KubernetesNetworkConfigRequest.html
_DNS_SERVICES = ("10.100.0.10/32", "172.20.0.10/32")


def auto_mode_tags(plan: AwsPlan) -> str:
    """What EKS Auto Mode needs to put tags of ours on what it makes, beside the policies that AWS keeps for it."""
    own = {"aws:RequestTag/eks:eks-cluster-name": plan.cluster_name}
    of_pools = {f"aws:RequestTag/eks:kubernetes-node-{kind}-name": "*" for kind in ("class", "pool")}
    of_pods = {"aws:RequestTag/eks:kubernetes-cni-node-name": "*"}
    machines = ["ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:RunInstances"]
    kinds = [plan.arn("ec2", f"{kind}/*") for kind in _KINDS]
    return document(
        allow("Machines", machines, [*kinds, plan.arn("ec2", "image/*", account="")],
              {"StringEquals": own, "StringLike": of_pools}),
        allow("Interfaces", ["ec2:CreateNetworkInterface"], [plan.arn("ec2", "network-interface/*"),
              plan.arn("ec2", "subnet/*")], {"StringEquals": own, "StringLike": of_pods}),
        allow("Volumes", ["ec2:CreateSnapshot", "ec2:CreateVolume"],
              [plan.arn("ec2", "volume/*"), plan.arn("ec2", "snapshot/*", account="")], {"StringEquals": own}),
    )  # fmt: skip


def auto_mode_dns() -> dict[str, Any]:
    """Egress to the cluster's DNS, which a process of each node answers: a policy that selects pods misses it."""
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return {"to": [{"ipBlock": {"cidr": cidr}} for cidr in _DNS_SERVICES], "ports": ports}
