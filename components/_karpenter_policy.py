"""What Karpenter's controller may do: make and end machines that carry its cluster's tags, and nothing of others.

The actions are those that Karpenter 1.14 calls, from its reference
(https://karpenter.sh/docs/reference/cloudformation/); the conditions tie each to the cluster's own tags.
"""

from __future__ import annotations

from typing import Any

from components._aws import allow, document
from planner.plan import AwsPlan

__all__ = ["karpenter_policy"]

_SHARED = ("capacity-reservation/*", "placement-group/*", "security-group/*", "subnet/*")
_MADE = (
    "fleet/*", "instance/*", "launch-template/*", "network-interface/*", "spot-instances-request/*", "volume/*",
)  # fmt: skip
_READS = (
    "DescribeCapacityReservations", "DescribeImages", "DescribeInstanceStatus", "DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes", "DescribeInstances", "DescribeLaunchTemplates", "DescribePlacementGroups",
    "DescribeSecurityGroups", "DescribeSpotPriceHistory", "DescribeSubnets",
)  # fmt: skip
_NODE_CLASS = "karpenter.k8s.aws/ec2nodeclass"


def karpenter_policy(plan: AwsPlan, *, node_role_arn: str, queue_arn: str) -> str:
    """The policy document of the controller's role."""
    return document(
        *_machines(plan), *_profiles(plan, node_role_arn), *_lookups(plan),
        allow("Interruptions", ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], [queue_arn]),
    )  # fmt: skip


def _tags(plan: AwsPlan, kind: str) -> dict[str, str]:
    """Conditions on tags that a request sets (``RequestTag``) or a resource has (``ResourceTag``)."""
    tags = {f"aws:{kind}/kubernetes.io/cluster/{plan.cluster_name}": "owned"}
    if kind == "RequestTag":
        tags["aws:RequestTag/eks:eks-cluster-name"] = plan.cluster_name
    return tags


def _machines(plan: AwsPlan) -> list[dict[str, Any]]:
    def ec2(kinds: tuple[str, ...], *, account: str | None = None) -> list[str]:
        return [plan.arn("ec2", kind, account=account) for kind in kinds]

    launch = ["ec2:CreateFleet", "ec2:RunInstances"]
    own_pool = {"StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"}}
    asked = {
        "StringEquals": _tags(plan, "RequestTag"), "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
    }  # fmt: skip
    owned = {"StringEquals": _tags(plan, "ResourceTag"), **own_pool}
    creating = {"ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "RunInstances"]}
    later = {"aws:TagKeys": ["Name", "eks:eks-cluster-name", "karpenter.sh/nodeclaim"]}
    return [
        allow("LaunchFrom", launch, [*ec2(_SHARED), *ec2(("image/*", "snapshot/*"), account="")]),
        allow("LaunchByTemplate", launch, ec2(("launch-template/*",)), owned),
        allow("Launch", [*launch, "ec2:CreateLaunchTemplate"], ec2(_MADE), asked),
        allow("TagWhatIsLaunched", ["ec2:CreateTags"], ec2(_MADE),
              {**asked, "StringEquals": {**asked["StringEquals"], **creating}}),
        allow("TagLater", ["ec2:CreateTags"], ec2(("instance/*",)), {
            **owned, "ForAllValues:StringEquals": later,
            "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": plan.cluster_name},
        }),
        allow("End", ["ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"],
              ec2(("instance/*", "launch-template/*")), owned),
    ]  # fmt: skip


def _profiles(plan: AwsPlan, node_role_arn: str) -> list[dict[str, Any]]:
    profiles = [plan.arn("iam", "instance-profile/*", region="")]
    here = "topology.kubernetes.io/region"
    asked = {**_tags(plan, "RequestTag"), f"aws:RequestTag/{here}": plan.region}
    owned = {**_tags(plan, "ResourceTag"), f"aws:ResourceTag/{here}": plan.region}
    ask_class, own_class = {f"aws:RequestTag/{_NODE_CLASS}": "*"}, {f"aws:ResourceTag/{_NODE_CLASS}": "*"}
    change = ["iam:AddRoleToInstanceProfile", "iam:DeleteInstanceProfile", "iam:RemoveRoleFromInstanceProfile"]
    return [
        allow("PassNodeRole", ["iam:PassRole"], [node_role_arn],
              {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com"]}}),
        allow("MakeProfile", ["iam:CreateInstanceProfile"], profiles,
              {"StringEquals": asked, "StringLike": ask_class}),
        allow("TagProfile", ["iam:TagInstanceProfile"], profiles,
              {"StringEquals": {**asked, **owned}, "StringLike": {**ask_class, **own_class}}),
        allow("ChangeProfile", change, profiles, {"StringEquals": owned, "StringLike": own_class}),
        allow("ReadProfiles", ["iam:GetInstanceProfile", "iam:ListInstanceProfiles"], profiles),
    ]  # fmt: skip


def _lookups(plan: AwsPlan) -> list[dict[str, Any]]:
    here = {"StringEquals": {"aws:RequestedRegion": plan.region}}
    return [
        allow("ReadMachines", [f"ec2:{read}" for read in _READS], ["*"], here),
        allow("ReadImages", ["ssm:GetParameter"], [plan.arn("ssm", "parameter/aws/service/*", account="")]),
        allow("ReadPrices", ["pricing:GetProducts"], ["*"]),
        allow("FindCluster", ["eks:DescribeCluster"], [plan.arn("eks", f"cluster/{plan.cluster_name}")]),
    ]
