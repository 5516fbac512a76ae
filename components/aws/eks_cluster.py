"""EksCluster: the control plane, who may use it, and what it writes down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components._auto_mode import AUTO_NODE_POLICIES, AUTO_POLICIES, auto_mode_tags
from components._aws import allow, attach, cache_policy, key, service_trust
from components._base import Component
from planner.plan import AwsPlan, ClusterPlan

__all__ = ["EksCluster", "EksClusterArgs"]

_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ACCESS_POLICIES = {
    "cluster-admin": "AmazonEKSClusterAdminPolicy",
    "admin": "AmazonEKSAdminPolicy",
    "edit": "AmazonEKSEditPolicy",
    "view": "AmazonEKSViewPolicy",
}


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    """What a cluster is given.

    Attributes:
        aws: account and region.
        cluster: the plan's decisions.
        subnet_ids: private subnets in at least two zones.
        durable: outside dev, where the cluster is protected.
        cache_prefixes: repositories that nodes of EKS Auto Mode may have ECR fetch.
    """

    aws: AwsPlan
    cluster: ClusterPlan
    subnet_ids: Sequence[pulumi.Input[str]]
    durable: bool
    cache_prefixes: Sequence[str] = ()


class EksCluster(Component):
    """An EKS control plane: API server private or for named ranges, secrets encrypted by a key of the account's own,
    all logs kept, and access by access entries only.

    Its creator gets no rights by being the creator: who may use the cluster stands in the stack file.

    Outputs:
        name: the cluster's name, known once it answers.
        arn: the cluster.
        endpoint: address of the API server.
        certificate: its certificate authority, base64.
        security_group_id: the group of the control plane and all nodes.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    access: list[pulumi.Resource]

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self._args = args
        plan, decided = args.aws, args.cluster
        group = f"/aws/eks/{decided.name}/cluster"
        secrets, _ = key(
            self, name, plan=plan, alias=f"llmagentos/{decided.name}/cluster", durable=args.durable,
            description=f"Secrets and logs of EKS cluster {decided.name}", more=[_for_logs(plan, group)],
        )
        # EKS would make this group itself, kept for ever and without a key.
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", name=group, retention_in_days=decided.log_days, kms_key_id=secrets.arn,
            opts=self.child(retain_on_delete=args.durable),
        )
        role = aws.iam.Role(
            f"{name}-control",
            name=f"{decided.name}-{plan.region}-control",
            assume_role_policy=service_trust(plan, "eks.amazonaws.com", tagged=decided.auto_mode),
            opts=self.child(),
        )
        rights = attach(self, role, f"{name}-control", plan, ["AmazonEKSClusterPolicy"])
        auto, more = self._auto_mode(name, role) if decided.auto_mode else ({}, [])
        cluster = aws.eks.Cluster(
            name,
            role_arn=role.arn,
            **_settings(args, secrets),
            **auto,
            # The role's rights outlive the cluster: without them EKS cannot remove its network interfaces.
            opts=self.child(depends_on=[logs, *rights, *more], protect=args.durable),
        )
        self.access = self._access(name, cluster)
        self.name, self.arn, self.endpoint = cluster.name, cluster.arn, cluster.endpoint
        self.certificate = cluster.certificate_authority.apply(lambda found: found.data)
        self.security_group_id = cluster.vpc_config.apply(lambda found: found.cluster_security_group_id)
        self.register_outputs({"name": self.name, "endpoint": self.endpoint})

    def _auto_mode(self, name: str, control: aws.iam.Role) -> tuple[dict[str, Any], list[pulumi.Resource]]:
        """EKS makes nodes, volumes and network: all three are one switch. The pool for controllers is its own; the
        general one has no limit, so the program brings one that has."""
        plan, nodes = self._args.aws, f"{name}-node"
        role = aws.iam.Role(
            f"{nodes}-role", name=plan.node_role, assume_role_policy=service_trust(plan, "ec2.amazonaws.com"),
            opts=self.child(),
        )  # fmt: skip
        rights: list[pulumi.Resource] = attach(self, role, nodes, plan, AUTO_NODE_POLICIES)
        rights += attach(self, control, f"{name}-control", plan, AUTO_POLICIES)
        documents = {"tags": (control, auto_mode_tags(plan))}
        if self._args.cache_prefixes:
            documents["cache"] = (role, cache_policy(plan, self._args.cache_prefixes))
        for policy, (holder, text) in documents.items():
            rights.append(
                aws.iam.RolePolicy(f"{name}-{policy}", name=policy, role=holder.name, policy=text, opts=self.child())
            )
        switches: dict[str, Any] = {
            "compute_config": {"enabled": True, "node_pools": ["system"], "node_role_arn": role.arn},
            "kubernetes_network_config": {"elastic_load_balancing": {"enabled": True}},
            "storage_config": {"block_storage": {"enabled": True}},
        }
        return switches, rights

    def _access(self, name: str, cluster: aws.eks.Cluster) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = []
        plan = self._args.aws
        for who, principal, policy, namespaces in self._args.cluster.access:
            entry = aws.eks.AccessEntry(
                f"{name}-access-{who}", cluster_name=cluster.name, principal_arn=principal, type="STANDARD",
                opts=self.child(),
            )
            scope: dict[str, Any] = {"type": "namespace", "namespaces": list(namespaces)}
            made.append(
                aws.eks.AccessPolicyAssociation(
                    f"{name}-access-{who}",
                    cluster_name=cluster.name,
                    principal_arn=principal,
                    policy_arn=f"arn:{plan.partition}:eks::aws:cluster-access-policy/{_ACCESS_POLICIES[policy]}",
                    access_scope=scope if namespaces else {"type": "cluster"},
                    opts=self.child(depends_on=[entry]),
                )
            )
        return made


def _settings(args: EksClusterArgs, secrets: aws.kms.Key) -> dict[str, Any]:
    """The cluster's own inputs, as pulumi_aws spells them."""
    decided = args.cluster
    settings: dict[str, Any] = {
        "name": decided.name,
        "version": decided.kubernetes_version,
        "access_config": {"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
        "bootstrap_self_managed_addons": False,
        "deletion_protection": decided.protect,
        "enabled_cluster_log_types": list(_LOGS),
        "encryption_config": {"provider": {"key_arn": secrets.arn}, "resources": ["secrets"]},
        # A version that runs out is upgraded by EKS; extended support would cost six times as much.
        "upgrade_policy": {"support_type": "STANDARD"},
        "vpc_config": {
            "subnet_ids": list(args.subnet_ids),
            "endpoint_private_access": True,
            "endpoint_public_access": bool(decided.public_cidrs),
            **({"public_access_cidrs": list(decided.public_cidrs)} if decided.public_cidrs else {}),
        },
    }
    return settings


def _for_logs(plan: AwsPlan, group: str) -> dict[str, Any]:
    """CloudWatch Logs may use the key, for this group only."""
    context = {"kms:EncryptionContext:aws:logs:arn": plan.arn("logs", f"log-group:{group}")}
    actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    principal = {"Service": f"logs.{plan.region}.amazonaws.com"}
    return allow("Logs", actions, ["*"], {"ArnEquals": context}, Principal=principal)
