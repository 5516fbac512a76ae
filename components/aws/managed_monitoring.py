"""ManagedMonitoring: Prometheus and Grafana as services of Amazon, with a scraper that needs nothing in the cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import yaml

from components._aws import allow, document, service_trust
from components._base import Component
from planner.plan import AwsPlan

__all__ = ["ManagedMonitoring", "ManagedMonitoringArgs", "scrape_configuration"]


@dataclass(frozen=True, kw_only=True)
class ManagedMonitoringArgs:
    """What monitoring is given.

    Attributes:
        aws: account, region and the cluster's name.
        cluster_arn: the cluster, as an output of what makes it.
        subnet_ids: where the scraper reaches the cluster from.
        security_group_ids: of the scraper: the cluster's own group, which its nodes admit.
    """

    aws: AwsPlan
    cluster_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_ids: Sequence[pulumi.Input[str]]


class ManagedMonitoring(Component):
    """A workspace of Amazon Managed Service for Prometheus, an agentless scraper of every pod that asks for it by
    annotation, and a workspace of Amazon Managed Grafana for people of IAM Identity Center.

    Outputs:
        query_url: where the metrics are asked for; requests are signed by Signature Version 4.
    """

    query_url: pulumi.Output[str]

    def __init__(self, name: str, args: ManagedMonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        plan = args.aws
        metrics = aws.amp.Workspace(f"{name}-metrics", alias=plan.cluster_name, opts=self.child())
        aws.amp.Scraper(
            f"{name}-scraper",
            alias=plan.cluster_name,
            source={"eks": {
                "cluster_arn": args.cluster_arn, "subnet_ids": list(args.subnet_ids),
                "security_group_ids": list(args.security_group_ids),
            }},
            destination={"amp": {"workspace_arn": metrics.arn}},
            scrape_configuration=base64.b64encode(scrape_configuration().encode()).decode(),
            opts=self.child(),
        )  # fmt: skip
        role = aws.iam.Role(
            f"{name}-grafana",
            name=f"{plan.cluster_name}-{plan.region}-grafana",
            assume_role_policy=service_trust(plan, "grafana.amazonaws.com"),
            opts=self.child(),
        )
        reads = [f"aps:{read}" for read in ("GetLabels", "GetMetricMetadata", "GetSeries", "QueryMetrics")]
        rights = aws.iam.RolePolicy(
            f"{name}-grafana",
            name="read-metrics",
            role=role.name,
            policy=document(
                allow("Query", [*reads, "aps:DescribeWorkspace"], [plan.arn("aps", "workspace/*")],
                      {"StringEquals": {f"aws:ResourceTag/{next(iter(plan.tags))}": next(iter(plan.tags.values()))}}),
                allow("List", ["aps:ListWorkspaces"], ["*"]),
            ),
            opts=self.child(),
        )  # fmt: skip
        aws.grafana.Workspace(
            f"{name}-grafana",
            name=plan.cluster_name,
            account_access_type="CURRENT_ACCOUNT",
            authentication_providers=["AWS_SSO"],
            permission_type="CUSTOMER_MANAGED",
            data_sources=["PROMETHEUS"],
            role_arn=role.arn,
            opts=self.child(depends_on=[rights]),
        )
        self.query_url = metrics.prometheus_endpoint
        self.register_outputs({"query_url": self.query_url})


def scrape_configuration() -> str:
    """Prometheus' configuration for the scraper: the pods of Services with ``prometheus.io/scrape``, which workload
    stacks set by ``observability: {scrape: {by: service-annotations}}``, and node figures of the API server."""
    source = "__meta_kubernetes_service_annotation_prometheus_io"

    def relabel(names: list[str], **more: Any) -> dict[str, Any]:
        return {"source_labels": names, **more}

    pods = {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "endpoints"}],
        "relabel_configs": [
            relabel([f"{source}_scrape"], action="keep", regex="true"),
            relabel([f"{source}_path"], action="replace", target_label="__metrics_path__", regex="(.+)"),
            relabel(["__address__", f"{source}_port"], action="replace", target_label="__address__",
                    regex=r"([^:]+)(?::\d+)?;(\d+)", replacement="$1:$2"),
            relabel(["__meta_kubernetes_namespace"], action="replace", target_label="namespace"),
            relabel(["__meta_kubernetes_pod_name"], action="replace", target_label="pod"),
        ],
    }  # fmt: skip
    content = {"global": {"scrape_interval": "30s"}, "scrape_configs": [pods]}
    return str(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=True))
