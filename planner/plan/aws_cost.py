"""What AWS charges beside GPU nodes: a cluster's control plane and network, disks, load balancers, storage, keys.

Prices stand in ``planner/data/aws_services.csv``, each with its region, source and day. Of another region they are
unknown, and a total with an unknown part is unknown.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from planner.catalogue import HOURS_PER_MONTH, Catalogue, usd_per_month
from planner.plan.aws_types import AwsPlan, ClusterPlan, ServiceCost
from planner.plan.cost import APPLICATIONS
from planner.plan.types import CostItem, ModelPlan
from planner.settings import StackSettings
from planner.settings.aws import Estimates

__all__ = ["cluster_nodes", "plan_services"]

_FILE = Path(__file__).parent.parent / "data" / "aws_services.csv"
_INTERFACE_ENDPOINTS = 3
_DAYS_PER_MONTH = HOURS_PER_MONTH / 24
# The web application firewall's own rules and Amazon's two managed groups of an entry.
_WAF_RULES = 3
_TOTAL = "estimates"
_ZONES_OF_BALANCERS = (2, 3)


@cache
def _prices() -> dict[str, dict[str, str]]:
    with _FILE.open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def _cost(
    subject: str, service: str, quantity: float, *, region: str, least: float | None = None, assumption: str = ""
) -> ServiceCost:
    row = _prices()[service]
    usd = float(row["usd"]) if row["usd"] and row["region"] == region else None
    low = quantity if least is None else least
    return ServiceCost(
        subject=subject,
        service=service,
        quantity_min=round(low, 2),
        quantity_max=round(quantity, 2),
        unit=row["unit"],
        usd=usd,
        price_source=row["price_source"] if usd is not None else "",
        price_date=row["price_date"] if usd is not None else "",
        assumption=assumption,
        usd_per_month_min=None if usd is None else round(usd * low, 2),
        usd_per_month_max=None if usd is None else round(usd * quantity, 2),
    )


def cluster_nodes(cluster: ClusterPlan | None, *, catalogue: Catalogue) -> tuple[CostItem, ...]:
    """The system nodes, and the general ones between none and their limit, each at the dearest of their types."""
    if cluster is None:
        return ()
    system = [_nodes("cluster.system_nodes", name, cluster.system_count, cluster.system_count, catalogue)
              for name in cluster.system_types if not cluster.auto_mode]  # fmt: skip
    general = []
    for name in cluster.general_types:
        most = math.floor(cluster.general_cpu_cores / catalogue.instances[name].vcpu)
        general.append(_nodes("cluster.general_nodes", name, 0, most, catalogue))
    return tuple(max(items, key=_dearest) for items in (system, general) if items)


def _dearest(item: CostItem) -> tuple[float, str]:
    unknown = item.usd_per_month_max is None
    return (math.inf if unknown else item.usd_per_month_max or 0.0, item.instance_type)


def _nodes(subject: str, name: str, least: int, most: int, catalogue: Catalogue) -> CostItem:
    instance = catalogue.instances[name]
    price = instance.usd_per_hour
    return CostItem(
        subject=subject, instance_type=name, nodes_min=least, nodes_max=most, usd_per_hour=price,
        price_source=instance.price_source, price_date=instance.price_date,
        usd_per_month_min=None if price is None else round(usd_per_month(price) * least, 2),
        usd_per_month_max=None if price is None else round(usd_per_month(price) * most, 2),
    )  # fmt: skip


def plan_services(
    settings: StackSettings,
    *,
    aws: AwsPlan | None,
    cluster: ClusterPlan | None,
    costs: tuple[CostItem, ...],
    models: tuple[ModelPlan, ...],
) -> tuple[ServiceCost, ...]:
    """What a stack on AWS pays for beside nodes; nothing for other targets."""
    if aws is None or settings.aws is None:
        return ()
    estimates = settings.aws.estimates
    if cluster:
        return (*_of_cluster(cluster, aws, estimates, costs),)
    return (*_of_workload(settings, aws, estimates, costs, models),)


def _of_cluster(
    cluster: ClusterPlan, aws: AwsPlan, estimates: Estimates, nodes: tuple[CostItem, ...]
) -> Iterator[ServiceCost]:
    region, hours = aws.region, HOURS_PER_MONTH
    yield _cost("cluster", "eks-cluster", hours, region=region, assumption="a version in standard support")
    sizes = {"cluster.system_nodes": cluster.system_volume_gib, "cluster.general_nodes": cluster.general_volume_gib}
    for item in nodes:
        size = sizes[item.subject]
        yield _cost(item.subject, "gp3-volume", item.nodes_max * size, region=region, least=item.nodes_min * size,
                    assumption=f"{size} GiB a node")  # fmt: skip
    if cluster.auto_mode:
        # Which machines EKS takes for controllers, and what it asks for managing each, no list says.
        yield _cost("cluster.auto_mode", "eks-auto-mode", hours, region=region, assumption="a fee on every machine")
        yield _cost("cluster.auto_mode", "eks-auto-mode-controllers", hours, region=region,
                    assumption="machines of EKS' own choice")  # fmt: skip
    yield from _of_network(cluster, aws, estimates)
    logs = "cluster.logs"
    yield _cost(logs, "log-ingestion", estimates.log_gib, region=region, assumption=f"{_TOTAL}.log_gib")
    kept = estimates.log_gib * cluster.log_days / _DAYS_PER_MONTH
    yield _cost(logs, "log-storage", kept, region=region, least=min(kept, estimates.log_gib),
                assumption=f"kept for {cluster.log_days} days, before compression")  # fmt: skip
    yield _cost("cluster.key", "kms-key", 1, region=region)
    if aws.alert_emails:
        # Shells, and the queue that only Karpenter has.
        watched = 1 if cluster.auto_mode else 2
        yield _cost("cluster.alarms", "kms-key", 1, region=region)
        yield _cost("cluster.alarms", "alarm", watched + len(cluster.network.nat_zones), region=region)
    if cluster.monitoring == "helm":
        yield _cost("cluster.monitoring", "gp3-volume", cluster.monitoring_volume_gib, region=region)
    elif cluster.monitoring == "managed":
        yield _cost("cluster.monitoring", "grafana-editor", 1, region=region, assumption="one editor")
        yield _cost("cluster.monitoring", "prometheus-collector", hours, region=region)


def _of_network(cluster: ClusterPlan, aws: AwsPlan, estimates: Estimates) -> Iterator[ServiceCost]:
    network, region, hours = cluster.network, aws.region, HOURS_PER_MONTH
    if network.vpc_id:
        return
    gateways = len(network.nat_zones)
    zones = sum(not subnet.public for subnet in network.subnets)
    yield _cost("cluster.vpc", "nat-gateway", gateways * hours, region=region, assumption=f"{gateways} gateways")
    yield _cost("cluster.vpc", "nat-data", estimates.nat_gib, region=region, assumption=f"{_TOTAL}.nat_gib")
    yield _cost("cluster.vpc", "public-ipv4", gateways * hours, region=region, assumption="one for each NAT gateway")
    yield _cost("cluster.vpc", "interface-endpoint", _INTERFACE_ENDPOINTS * zones * hours, region=region,
                assumption=f"ecr.api, ecr.dkr and sts in {zones} zones")  # fmt: skip
    yield _cost("cluster.vpc", "endpoint-data", estimates.endpoint_gib, region=region,
                assumption=f"{_TOTAL}.endpoint_gib")  # fmt: skip


def _of_workload(
    settings: StackSettings, aws: AwsPlan, estimates: Estimates, nodes: tuple[CostItem, ...],
    models: tuple[ModelPlan, ...],
) -> Iterator[ServiceCost]:  # fmt: skip
    region = aws.region
    for item in nodes if aws.gpu_nodes else ():
        if item.subject == APPLICATIONS:
            continue
        size = aws.gpu_nodes.volume_gib if aws.gpu_nodes else 0
        yield _cost(item.subject, "gp3-volume", item.nodes_max * size, region=region, least=item.nodes_min * size,
                    assumption=f"{size} GiB a node")  # fmt: skip
        if aws.gpu_nodes and aws.gpu_nodes.auto_mode:
            yield _cost(item.subject, "eks-auto-mode", item.nodes_max * HOURS_PER_MONTH, region=region,
                        least=item.nodes_min * HOURS_PER_MONTH, assumption="a fee on every machine")  # fmt: skip
    for name, application in sorted(settings.applications.items()):
        if application.endpoint.type == "LoadBalancer":
            yield from _of_entry(name, aws, estimates)
    if aws.repositories:
        gib = len(aws.repositories) * estimates.image_gib
        yield _cost("registry", "ecr-storage", gib, region=region, assumption=f"{_TOTAL}.image_gib a repository")
        yield _cost("registry", "kms-key", 1, region=region)
    if aws.weights:
        sizes = {model.name: model.weights_gib for model in models}
        known = [sizes[weights.model] for weights in aws.weights]
        cost = _cost("weights", "s3-storage", sum(known), region=region, assumption="one revision of each model")
        yield cost if all(known) else _unknown(cost, "a model is not in the catalogue, so its size is not known")
        yield _cost("weights", "kms-key", 1, region=region)


def _of_entry(application: str, aws: AwsPlan, estimates: Estimates) -> Iterator[ServiceCost]:
    subject = f"applications.{application}"
    entry = next((entry for entry in aws.entries if entry.application == application), None)
    public = entry is not None and entry.public
    by_requests = entry is not None and entry.kind != "nlb"
    yield _cost(subject, "load-balancer", HOURS_PER_MONTH, region=aws.region)
    yield _cost(subject, "alb-data" if by_requests else "nlb-data", estimates.load_balancer_gib, region=aws.region,
                assumption=f"{_TOTAL}.load_balancer_gib")  # fmt: skip
    if public:
        addresses = [zones * HOURS_PER_MONTH for zones in _ZONES_OF_BALANCERS]
        yield _cost(subject, "public-ipv4", addresses[1], region=aws.region, least=addresses[0],
                    assumption="one in each zone of the cluster, two or three")  # fmt: skip
        yield _cost(subject, "waf-acl", 1, region=aws.region, assumption="and 0.60 USD for a million requests")
        yield _cost(subject, "waf-rule", _WAF_RULES, region=aws.region)


def _unknown(cost: ServiceCost, why: str) -> ServiceCost:
    return replace(cost, usd_per_month_min=None, usd_per_month_max=None, assumption=why)
