"""What a workload stack has on AWS: repositories, GPU nodes, weights, names in DNS."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

from planner.catalogue import Catalogue
from planner.plan.aws_caches import UPSTREAMS, cache_prefix
from planner.plan.aws_nodes import node_role, plan_gpu_nodes
from planner.plan.aws_types import AwsPlan, EntryPlan
from planner.plan.aws_weights import plan_store, store_endpoint
from planner.plan.types import ApplicationPlan, CostItem, GpuPoolPlan, ImagePlan, ModelPlan
from planner.settings import StackSettings
from planner.settings.aws import AwsSettings, ClusterReference

__all__ = ["partition_of", "plan_aws", "priced_in_region", "with_entries"]

_OWN_TAGS = "llmagentos.dev"


def partition_of(region: str) -> str:
    """The partition that a region belongs to: the second field of its ARNs."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def priced_in_region(catalogue: Catalogue, region: str) -> Catalogue:
    """The catalogue without prices of other regions, except those that the stack file states."""
    instances = {
        name: entry if region == entry.region or entry.price_source == "stack file"
        else dataclasses.replace(entry, usd_per_hour=None, price_date="", price_source="", region=region)
        for name, entry in catalogue.instances.items()
    }  # fmt: skip
    return dataclasses.replace(catalogue, instances=MappingProxyType(instances))


def plan_aws(
    settings: StackSettings,
    *,
    stack: str,
    pool: GpuPoolPlan | None = None,
    images: tuple[ImagePlan, ...] = (),
    models: tuple[ModelPlan, ...] = (),
    costs: tuple[CostItem, ...] = (),
    catalogue: Catalogue,
) -> AwsPlan | None:
    """The AWS part of a plan, ``None`` for other targets."""
    aws = settings.aws
    if settings.target != "aws" or aws is None:
        return None
    made = settings.cluster
    cluster = aws.cluster or ClusterReference(name=made.name if made else "")
    weights = plan_store(aws, models)
    bucket = f"llmagentos-{stack}-{aws.account}-{aws.region}" if weights else ""
    return AwsPlan(
        account=aws.account,
        region=aws.region,
        partition=partition_of(aws.region),
        role=aws.role or "",
        tags={f"{_OWN_TAGS}/stack": stack, f"{_OWN_TAGS}/environment": settings.environment,
              **dict(sorted(aws.tags.items()))},
        cluster_name=cluster.name,
        cluster_stack=cluster.stack or "",
        cache_prefixes={UPSTREAMS[name]: cache_prefix(cluster.name, name) for name in sorted(set(cluster.caches))},
        node_role=cluster.node_role or node_role(cluster.name, aws.region),
        registry_name=f"llmagentos/{stack}",
        repositories=() if settings.registry else tuple(sorted({image.name for image in images if image.build})),
        untagged_days=aws.registry.untagged_days,
        pullers=tuple(sorted(set(aws.registry.pullers) - {aws.account})),
        gpu_nodes=plan_gpu_nodes(
            aws, cluster, stack=stack, pool=pool, models=models, costs=costs, catalogue=catalogue
        ),
        weights=weights,
        # Bucket names are unique in the world; account and region make this one ours.
        bucket=bucket,
        store=store_endpoint(bucket, aws.region, partition_of(aws.region)) if bucket else "",
        entries=_entries(aws),
        promises={
            name: (model.slo.ttft_ms, model.slo.tpot_ms)
            for name, model in sorted(settings.models.items()) if model.engine == "vllm"
        },
        node_prices={
            name: price for name in (pool.instance_types if pool else ())
            if (price := catalogue.instances[name].usd_per_hour) is not None
        },
        alert_emails=aws.alerts.emails,
        budget_usd=settings.budget.usd_per_month,
    )  # fmt: skip


def with_entries(applications: tuple[ApplicationPlan, ...], settings: StackSettings) -> tuple[ApplicationPlan, ...]:
    """The applications with port 443 where a name in DNS brings TLS and the stack file states no port."""
    entries = settings.aws.entries if settings.aws else {}
    return tuple(
        dataclasses.replace(application, endpoint_port=443)
        if application.name in entries
        and "port" not in settings.applications[application.name].endpoint.model_fields_set
        else application
        for application in applications
    )


def _entries(aws: AwsSettings) -> tuple[EntryPlan, ...]:
    return tuple(
        EntryPlan(
            application=name, host=entry.host, zone_id=entry.zone_id, certificate=entry.certificate or "",
            public=entry.public, kind=entry.kind or ("alb" if entry.public else "nlb"), sources=tuple(entry.sources),
            requests_per_5_minutes=entry.requests_per_5_minutes,
        )
        for name, entry in sorted(aws.entries.items())
    )  # fmt: skip
