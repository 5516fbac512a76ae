"""The IAM policy of whoever deploys a stack on AWS, made from what the stack contains.

``python3 -m llmos aws permissions --stack NAME`` prints it. Each type of resource brings the calls that its provider
makes to create, read, change and delete it; resources are named where the service can tell them apart by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmos.aws_actions import ACTIONS
from llmos.synth import Program
from planner.plan import AwsPlan, Plan

__all__ = ["deployer_policy"]


# What no resource of the provider stands for: who am I, which cluster, and the push of a built image.
_ALWAYS = ("sts:GetCallerIdentity", "eks:DescribeCluster")
_PUSH = (
    "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
)  # fmt: skip
# Base images of a build, which ECR copies when they are first asked for.
_FETCH = (
    "ecr:BatchGetImage", "ecr:BatchImportUpstreamImage", "ecr:CreateRepository", "ecr:GetDownloadUrlForLayer",
)  # fmt: skip
_IMAGE = "docker-build:index:Image"
_ALIASES = frozenset({"kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"})


def deployer_policy(plan: Plan, program: Program) -> dict[str, Any]:
    """The policy document for deploying this stack, and for taking it down again.

    Args:
        plan: of the stack; its target is aws.
        program: everything that it registers.
    """
    assert plan.aws
    types = {resource.type.removeprefix("aws:") for resource in program.resources if resource.type.startswith("aws:")}
    actions = {action for kind in types for action in ACTIONS[kind]} | set(_ALWAYS)
    if program.of_type(_IMAGE) and plan.aws.repositories:
        actions |= set(_PUSH)
    scopes = _scopes(plan.aws)
    if program.of_type(_IMAGE) and plan.aws.cache_prefixes:
        actions.add("ecr:GetAuthorizationToken")
    groups: dict[str, list[str]] = {}
    for action in sorted(actions):
        groups.setdefault(_scope_of(action), []).append(action)
        if action in _ALIASES:
            # Asked on the alias and on the key.
            groups.setdefault("Aliases", []).append(action)
    if program.of_type(_IMAGE) and plan.aws.cache_prefixes:
        groups["Caches"] = list(_FETCH)
    statements = [_statement(name, groups[name], *scopes[name]) for name in sorted(groups)]
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(sid: str, actions: Iterable[str], resources: list[str], condition: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}
    return {**found, "Condition": condition} if condition else found


_EVERYWHERE = frozenset({
    "acm:RequestCertificate", "ecr:CreatePullThroughCacheRule", "ecr:CreateRepositoryCreationTemplate",
    "ecr:DeletePullThroughCacheRule", "ecr:DeleteRepositoryCreationTemplate", "ecr:DescribePullThroughCacheRules",
    "ecr:DescribeRepositoryCreationTemplates", "ecr:GetAuthorizationToken", "ecr:UpdateRepositoryCreationTemplate",
    "aps:CreateScraper", "aps:CreateWorkspace", "cloudwatch:DescribeAlarms", "eks:CreateCluster",
    "eks:DescribeAddonVersions", "grafana:CreateWorkspace", "kms:CreateKey", "kms:ListAliases",
    "kms:TagResource", "logs:DescribeLogGroups", "sts:GetCallerIdentity",
})  # fmt: skip
"""Actions that know no resources, or whose resource has no name yet. All are held to the region."""


def _scope_of(action: str) -> str:
    service = action.partition(":")[0]
    if action == "iam:PassRole":
        return "PassRoles"
    if action == "iam:CreateServiceLinkedRole":
        return "ServiceRoles"
    if action == "kms:CreateGrant":
        return "Grants"
    if action.startswith("ec2:") or action in _EVERYWHERE:
        return "InRegion"
    return {
        "acm": "Certificates", "aps": "Metrics", "budgets": "Budgets", "cloudwatch": "Alarms", "grafana": "Grafana",
        "ecr": "Images", "eks": "Cluster", "events": "Events", "iam": "Roles", "kms": "Keys", "logs": "Logs",
        "route53": "Zones", "s3": "Weights", "secretsmanager": "HubLogin", "sns": "Topics", "sqs": "Queues",
        "sso": "InRegion", "wafv2": "Firewalls",
    }[service]  # fmt: skip


def _scopes(aws: AwsPlan) -> dict[str, tuple[list[str], dict[str, Any]]]:
    """Resources and condition of each statement. Names begin with those of the cluster or of the program."""

    def named(service: str, *resources: str, **more: str) -> list[str]:
        return sorted({aws.arn(service, resource, **more) for resource in resources})

    cluster = aws.cluster_name
    roles = named("iam", f"role/{cluster}-*", "role/llmagentos-*", region="")
    service_roles = named("iam", "role/aws-service-role/*", region="")
    here = {"StringEquals": {"aws:RequestedRegion": aws.region}}
    services = ["ec2.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com", "vpc-flow-logs.amazonaws.com"]
    linked = [
        "eks-nodegroup.amazonaws.com", "eks.amazonaws.com", "pullthroughcache.ecr.amazonaws.com", "spot.amazonaws.com",
    ]  # fmt: skip
    zones = sorted({f"arn:{aws.partition}:route53:::hostedzone/{entry.zone_id}" for entry in aws.entries})
    # AWS names keys and certificates itself; those of the program carry the provider's default tags.
    tagged = {"StringLike": {f"aws:ResourceTag/{next(iter(aws.tags))}": "*"}}
    return {
        "Alarms": (named("cloudwatch", f"alarm:{cluster}-*"), {}),
        "Aliases": (named("kms", "alias/llmagentos/*"), {}),
        "Budgets": ([f"arn:{aws.partition}:budgets::{aws.account}:budget/llmagentos-*"], {}),
        "Caches": (named("ecr", *(f"repository/{prefix}/*" for prefix in aws.cache_prefixes.values())), {}),
        "Certificates": (named("acm", "certificate/*"), tagged),
        "Cluster": (
            named("eks", *(f"{kind}/{cluster}{rest}" for kind, rest in (
                ("access-entry", "/*"), ("addon", "/*"), ("cluster", ""), ("nodegroup", "/*"),
                ("podidentityassociation", "/*"),
            ))), {},
        ),
        "Events": (named("events", f"rule/{cluster}-*"), {}),
        "Firewalls": (named("wafv2", "regional/managedruleset/*/*", "regional/webacl/llmagentos-*/*"), {}),
        "Grants": (named("kms", "key/*"), {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        "HubLogin": (named("secretsmanager", "secret:ecr-pullthroughcache/*"), {}),
        "Images": (named("ecr", f"repository/{aws.registry_name}/*"), {}),
        "InRegion": (["*"], here),
        "Keys": (named("kms", "key/*"), tagged),
        "Logs": (named("logs", f"log-group:/aws/eks/{cluster}/*", f"log-group:/aws/vpc/{cluster}/*"), {}),
        "PassRoles": (roles, {"StringEquals": {"iam:PassedToService": services}}),
        "Grafana": (named("grafana", "/workspaces/*"), {}),
        "Metrics": (named("aps", "scraper/*", "workspace/*"), {}),
        "Topics": (named("sns", f"{cluster}-*"), {}),
        "Queues": (named("sqs", f"{cluster}-*"), {}),
        "Roles": (roles, {}),
        "ServiceRoles": (service_roles, {"StringEquals": {"iam:AWSServiceName": linked}}),
        "Weights": ([f"arn:{aws.partition}:s3:::{aws.bucket}{rest}" for rest in ("", "/*")], {}),
        "Zones": ([*zones, f"arn:{aws.partition}:route53:::change/*"], {}),
    }  # fmt: skip
