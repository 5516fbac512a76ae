"""What components on AWS share: policy documents, keys, and the roles of pods and services.

Policy documents hold only what the plan knows (names are explicit, account and region are stated), so that a preview
can check them. The one exception are keys, whose ids AWS chooses: documents name those by alias.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from components._base import Component
from planner.plan import AwsPlan

__all__ = [
    "NODE_POLICIES",
    "allow",
    "attach",
    "aws_provider",
    "cache_policy",
    "deny_without_tls",
    "document",
    "key",
    "key_statement",
    "kubeconfig",
    "pod_role",
    "service_trust",
]

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
"""What a node needs: to join, to hand out pod identities, to pull images. Its network plugin has a role of its own."""

_VERSION = "2012-10-17"
_KEY_DELETION_DAYS = 30


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], conditions: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A statement that allows; ``more`` adds members such as ``Principal``."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": sorted(resources), **more}
    return {**statement, "Condition": dict(conditions)} if conditions else statement


def deny_without_tls(actions: str, resources: Sequence[str]) -> dict[str, Any]:
    """A statement that refuses every request without TLS."""
    return {
        "Sid": "DenyWithoutTls", "Effect": "Deny", "Principal": "*", "Action": actions, "Resource": sorted(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip


def document(*statements: Mapping[str, Any]) -> str:
    """A policy document as JSON, the same text for the same statements."""
    return json.dumps({"Version": _VERSION, "Statement": list(statements)}, sort_keys=True)


def service_trust(plan: AwsPlan, service: str, *, tagged: bool = False) -> str:
    """Who may assume a role: a service of AWS, on behalf of this account; ``tagged`` where its sessions carry tags."""
    own = {"StringEquals": {"aws:SourceAccount": plan.account}}
    # EC2 and the control plane of EKS assume roles without naming a source.
    conditions = None if service in ("ec2.amazonaws.com", "eks.amazonaws.com") else own
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if tagged:
        statement["Action"] = ["sts:AssumeRole", "sts:TagSession"]
    return document({**statement, "Condition": conditions} if conditions else statement)


def _pod_trust(plan: AwsPlan, namespace: str, service_accounts: Sequence[str]) -> str:
    """The pods of service accounts of one namespace: EKS Pod Identity states all three as tags of the session.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
    """
    tags = {
        "aws:RequestTag/eks-cluster-name": plan.cluster_name,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": (
            service_accounts[0] if len(service_accounts) == 1 else sorted(service_accounts)
        ),
    }
    return document({
        "Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"], "Condition": {"StringEquals": tags},
    })  # fmt: skip


def attach(component: Component, role: aws.iam.Role, name: str, plan: AwsPlan, policies: Sequence[str]) -> list[Any]:
    """Attach policies that AWS keeps, given by the end of their ARN."""
    return [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy.rpartition('/')[2]}",
            role=role.name,
            policy_arn=plan.arn("iam", f"policy/{policy}", region="", account="aws"),
            opts=component.child(),
        )
        for policy in policies
    ]


def pod_role(
    component: Component,
    name: str,
    *,
    plan: AwsPlan,
    role_name: str,
    namespace: str,
    service_accounts: Sequence[str],
    policy: str = "",
    managed: Sequence[str] = (),
    cluster_name: Any = None,
    associate: bool = True,
) -> tuple[aws.iam.Role, list[Any]]:
    """The role of service accounts' pods, by EKS Pod Identity.

    Args:
        component: its parent.
        name: begins the names of its resources.
        plan: account, region and cluster.
        role_name: name in IAM.
        namespace: of the service accounts.
        service_accounts: their names.
        policy: what the pods may do, as ``document`` makes it.
        managed: policies that AWS keeps, by the end of their ARN.
        cluster_name: the cluster as an output, where the same program makes it; its name in the plan by default.
        associate: False where an add-on makes the association itself.

    Returns:
        The role, and what must exist before pods can use it.
    """
    role = aws.iam.Role(
        f"{name}-role",
        name=role_name,
        assume_role_policy=_pod_trust(plan, namespace, service_accounts),
        opts=component.child(),
    )
    ready: list[Any] = attach(component, role, name, plan, managed)
    if policy:
        ready.append(
            aws.iam.RolePolicy(f"{name}-policy", name=name, role=role.name, policy=policy, opts=component.child())
        )
    identities = [
        aws.eks.PodIdentityAssociation(
            f"{name}-identity" if len(service_accounts) == 1 else f"{name}-identity-{account}",
            cluster_name=cluster_name or plan.cluster_name,
            namespace=namespace,
            service_account=account,
            role_arn=role.arn,
            opts=component.child(depends_on=ready),
        )
        for account in (service_accounts if associate else ())
    ]
    return role, [*ready, *identities]


def key(
    component: Component,
    name: str,
    *,
    plan: AwsPlan,
    alias: str,
    description: str,
    durable: bool,
    more: Sequence[Any] = (),
) -> tuple[aws.kms.Key, aws.kms.Alias]:
    """A key of the account's own, renewed every year, with an alias by which policies name it.

    Args:
        component: its parent.
        name: begins the names of its resources.
        plan: account and region.
        alias: without ``alias/``.
        description: shown in the console.
        durable: whether the key is protected: what it encrypted is lost with it.
        more: statements of its policy beside that of the account, which lets IAM policies decide.
    """
    owner = plan.arn("iam", "root", region="")
    statements = [allow("Account", ["kms:*"], ["*"], Principal={"AWS": owner}), *more]
    made = aws.kms.Key(
        f"{name}-key",
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=_KEY_DELETION_DAYS,
        policy=document(*statements),
        opts=component.child(protect=durable, retain_on_delete=durable),
    )
    named = aws.kms.Alias(
        f"{name}-key-alias", name=f"alias/{alias}", target_key_id=made.key_id, opts=component.child()
    )
    return made, named


def key_statement(plan: AwsPlan, alias: str, actions: Sequence[str]) -> dict[str, Any]:
    """What a role may do with the key of an alias."""
    only = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{alias}"}}
    return allow("Key", actions, [plan.arn("kms", "key/*")], only)


def cache_policy(plan: AwsPlan, prefixes: Sequence[str]) -> str:
    """What a puller needs so that ECR fetches an image that it has not yet copied."""
    repositories = [plan.arn("ecr", f"repository/{prefix}/*") for prefix in prefixes]
    return document(allow("Fetch", ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"], repositories))


def kubeconfig(plan: AwsPlan, *, endpoint: Any, certificate: Any) -> pulumi.Output[str]:
    """A kubeconfig without credentials: the AWS CLI gets a token for 15 minutes whenever one is needed."""
    command = ["--region", plan.region, "eks", "get-token", "--cluster-name", plan.cluster_name, "--output", "json"]
    if plan.role:
        command += ["--role-arn", plan.role]
    user = {"exec": {
        "apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": command,
        "interactiveMode": "Never",
    }}  # fmt: skip
    name = plan.cluster_name

    def assembled(found: Sequence[str]) -> str:
        cluster = {"server": found[0], "certificate-authority-data": found[1]}
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": cluster}], "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }, sort_keys=True)  # fmt: skip

    return pulumi.Output.all(endpoint, certificate).apply(assembled)


def aws_provider(plan: AwsPlan) -> aws.Provider:
    """The account and region that the plan states, and no other: credentials of another account are refused."""
    return aws.Provider(
        "aws",
        region=plan.region,
        allowed_account_ids=[plan.account],
        assume_roles=[{"role_arn": plan.role}] if plan.role else None,
        default_tags={"tags": plan.tags},
    )
