"""Every resource on AWS that costs something has a line in the preview's prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmos.synth import Program
from tests.aws.calls import CALLS
from tests.aws.stacks import faults, plan, raw, variant

# What AWS asks money for, and the lines that say so.
PRICED: dict[str, tuple[str, ...]] = {
    "amp/scraper": ("prometheus-collector",), "amp/workspace": ("prometheus-collector",),
    "cloudwatch/logGroup": ("log-ingestion", "log-storage"), "cloudwatch/metricAlarm": ("alarm",),
    "ec2/eip": ("public-ipv4",), "ec2/natGateway": ("nat-data", "nat-gateway"),
    "ec2/vpcEndpoint": ("endpoint-data", "interface-endpoint"), "ecr/repository": ("ecr-storage",),
    "eks/cluster": ("eks-cluster",), "eks/nodeGroup": ("gp3-volume",), "grafana/workspace": ("grafana-editor",),
    "kms/key": ("kms-key",), "s3/bucket": ("s3-storage",), "wafv2/webAcl": ("waf-acl", "waf-rule"),
}  # fmt: skip
# Of the others, most are free; a few cost cents by use, which docs/aws.md names.
FREE = {
    "acm/certificate", "acm/certificateValidation", "budgets/budget", "cloudwatch/eventRule", "cloudwatch/eventTarget",
    "cloudwatch/logMetricFilter", "ec2/defaultSecurityGroup", "ec2/flowLog", "ec2/internetGateway",
    "ec2/launchTemplate", "ec2/route", "ec2/routeTable", "ec2/routeTableAssociation", "ec2/securityGroup", "ec2/subnet",
    "ec2/tag", "ec2/vpc", "ecr/lifecyclePolicy", "ecr/pullThroughCacheRule", "ecr/repositoryCreationTemplate",
    "ecr/repositoryPolicy", "eks/accessEntry", "eks/accessPolicyAssociation", "eks/addon", "eks/podIdentityAssociation",
    "iam/role", "iam/rolePolicy", "iam/rolePolicyAttachment", "kms/alias", "route53/record",
    "s3/bucketLifecycleConfiguration", "s3/bucketOwnershipControls", "s3/bucketPolicy", "s3/bucketPublicAccessBlock",
    "s3/bucketServerSideEncryptionConfiguration", "s3/bucketVersioning", "sns/topic", "sns/topicPolicy",
    "sns/topicSubscription", "sqs/queue", "sqs/queuePolicy", "vpc/securityGroupIngressRule",
}  # fmt: skip


def types(found: Program) -> list[str]:
    return [r.type.removeprefix("aws:").partition(":")[0] for r in found.resources if r.type.startswith("aws:")]


def test_every_type_is_known_to_be_free_or_to_cost() -> None:
    assert {kind.partition(":")[0] for kind in CALLS} == PRICED.keys() | FREE and not PRICED.keys() & FREE


def test_what_costs_has_its_lines(name: str, programs: Callable[[str], Program]) -> None:
    made, services = set(types(programs(name))), {cost.service for cost in plan(raw(name), name).services}
    for kind in made & PRICED.keys():
        assert set(PRICED[kind]) <= services, kind


def test_there_are_as_many_keys_and_alarms_in_the_price_as_are_made(
    name: str, programs: Callable[[str], Program]
) -> None:
    made, services = types(programs(name)), plan(raw(name), name).services
    for kind, service in (("kms/key", "kms-key"), ("cloudwatch/metricAlarm", "alarm")):
        assert made.count(kind) == sum(cost.quantity_max for cost in services if cost.service == service), kind


def test_no_price_is_nothing(name: str) -> None:
    for cost in plan(raw(name), name).services:
        assert cost.usd_per_month_max is None or cost.usd_per_month_max > 0, cost


@pytest.mark.parametrize("kind", ["alb", "gateway"])
def test_public_addresses_of_a_load_balancer_are_paid_for(kind: str) -> None:
    entry: dict[str, Any] = {"host": "a.example.com", "zone_id": "Z012345", "public": True, "kind": kind}
    settings = variant(raw("aws-dev"), {"aws": {"entries": {"assistant": entry}}})
    assert faults(settings) == []
    (cost,) = [cost for cost in plan(settings).services if cost.service == "public-ipv4"]
    assert cost.usd_per_month_min and cost.usd_per_month_max == pytest.approx(1.5 * cost.usd_per_month_min)
