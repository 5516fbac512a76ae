"""The AWS part of a plan, laid over the part that all targets have."""

from __future__ import annotations

import dataclasses

from planner.catalogue import Catalogue
from planner.faults import Fault
from planner.plan.aws import plan_aws, priced_in_region, with_entries
from planner.plan.aws_caches import through_cache
from planner.plan.aws_cluster import cluster_faults, plan_cluster
from planner.plan.aws_cost import cluster_nodes, plan_services
from planner.plan.aws_weights import from_store
from planner.plan.cost import total_per_month
from planner.plan.types import Plan, RegistryPlan
from planner.settings import StackSettings

__all__ = ["aws_faults", "in_region", "with_aws"]


def in_region(catalogue: Catalogue, settings: StackSettings) -> Catalogue:
    """The catalogue with the prices of the stack's region; the same one for other targets."""
    return priced_in_region(catalogue, settings.aws.region) if settings.aws else catalogue


def aws_faults(settings: StackSettings, *, catalogue: Catalogue, where: str) -> list[Fault]:
    """Faults of a cluster stack that show only against the catalogue."""
    return cluster_faults(settings.cluster, catalogue=catalogue, where=where) if settings.cluster else []


def with_aws(plan: Plan, settings: StackSettings, *, catalogue: Catalogue) -> Plan:
    """The plan with repositories, nodes, names in DNS and services; the same one for other targets."""
    aws = plan_aws(settings, stack=plan.stack, pool=plan.gpu_pool, images=plan.images, models=plan.models,
                   costs=plan.costs, catalogue=catalogue)  # fmt: skip
    if aws is None:
        return plan
    stored = {weights.model for weights in aws.weights}
    cluster = plan_cluster(settings)
    costs = plan.costs + cluster_nodes(cluster, catalogue=catalogue)
    services = plan_services(settings, aws=aws, cluster=cluster, costs=costs, models=plan.models)
    prices = [*costs, *services]
    # The stack's name is the last part of registry_name, and follows with every repository.
    own = RegistryPlan(server=f"{aws.registry_server}/{aws.registry_name.rpartition('/')[0]}", pull_secret="")
    return dataclasses.replace(
        plan,
        registry=plan.registry if settings.registry else own,
        images=tuple(
            dataclasses.replace(image, base_image=through_cache(aws, image.base_image)) if image.base_image else image
            for image in plan.images
        ),
        applications=with_entries(plan.applications, settings),
        models=tuple(from_store(m, aws.store) if m.name in stored else m for m in plan.models),
        costs=costs,
        services=services,
        usd_per_month_min=total_per_month([cost.usd_per_month_min for cost in prices]),
        usd_per_month=total_per_month([cost.usd_per_month_max for cost in prices]),
        aws=aws,
        cluster=cluster,
    )
