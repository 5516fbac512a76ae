"""The plan of a cluster stack: addresses of the network, registries to copy, and what stands in its stack file."""

from __future__ import annotations

import ipaddress
import itertools

from planner.catalogue import Catalogue
from planner.faults import Fault, nearest
from planner.plan.aws_caches import UPSTREAMS, cache_prefix
from planner.plan.aws_types import CachePlan, ClusterPlan, NetworkPlan, SubnetPlan
from planner.settings import StackSettings
from planner.settings.cluster import Cluster, Vpc

__all__ = ["cluster_faults", "divide", "plan_cluster"]

# Letters of zones where the first three are not a, b and c for every account.
_ZONE_LETTERS = {"ap-northeast-1": "acd", "ca-central-1": "abd", "us-west-1": "ac"}


def plan_cluster(settings: StackSettings) -> ClusterPlan | None:
    """The cluster that a stack makes; ``None`` for other stacks."""
    cluster, aws = settings.cluster, settings.aws
    if cluster is None or aws is None:
        return None
    general, system, cache = cluster.general_nodes, cluster.system_nodes, cluster.pull_through
    return ClusterPlan(
        name=cluster.name,
        kubernetes_version=cluster.kubernetes_version,
        public_cidrs=tuple(sorted(set(cluster.endpoint.public_cidrs))),
        network=_network(cluster.vpc, region=aws.region),
        access=tuple(
            (name, entry.principal, entry.policy, tuple(sorted(entry.namespaces)))
            for name, entry in sorted(cluster.access.items())
        ),
        log_days=cluster.log_days,
        system_types=system.instance_types,
        system_count=system.count,
        system_volume_gib=system.volume_gib,
        general_types=tuple(sorted(set(general.instance_types))),
        general_cpu_cores=general.cpu_cores,
        general_volume_gib=general.volume_gib,
        general_spot=general.spot,
        caches=tuple(
            CachePlan(
                name=name, prefix=cache_prefix(cluster.name, name), upstream=UPSTREAMS[name],
                credential=(cache.docker_hub_secret or "") if name == "docker-hub" else "",
            )
            for name in sorted(set(cache.registries))
        ),
        monitoring=cluster.monitoring.kind,
        monitoring_days=cluster.monitoring.retention_days,
        monitoring_volume_gib=cluster.monitoring.volume_gib,
        addon_versions=dict(sorted(cluster.addon_versions.items())),
        protect=cluster.protect,
        auto_mode=cluster.compute == "auto-mode",
    )  # fmt: skip


def cluster_faults(cluster: Cluster, *, catalogue: Catalogue, where: str) -> list[Fault]:
    """Instance types that are unknown, have GPUs, are too small, or of another processor architecture than images."""
    faults = []
    for path, names in (("system_nodes", cluster.system_nodes), ("general_nodes", cluster.general_nodes)):
        for name in names.instance_types:
            instance = catalogue.instances.get(name)
            what = ""
            if instance is None:
                what = f"instance type `{name}` is not in the catalogue"
            elif instance.gpus or instance.unsupported_reason:
                what = f"`{name}` is a machine for models, and these nodes run what needs no accelerator"
            elif instance.architecture != "amd64":
                what = f"`{name}` is {instance.architecture}, and images are built for amd64 by default"
            if what:
                usable = [n for n, i in catalogue.instances.items() if not i.gpus and i.architecture == "amd64"]
                faults.append(
                    Fault(
                        what=what, where=f"{where}: cluster.{path}.instance_types", nearest=nearest(name, usable),
                        fix="name types of the catalogue without GPUs",
                    )
                )
    return faults


def divide(cidr: str, zones: tuple[str, ...]) -> tuple[SubnetPlan, ...]:
    """Subnets of a network: a quarter for the private subnet of each zone (pods have addresses of their own), and of
    the last quarter a 32nd for each public one, which holds a NAT gateway and load balancers only.

    Args:
        cidr: a network of /16 to /20.
        zones: two or three availability zones.
    """
    network = ipaddress.IPv4Network(cidr)
    *quarters, last = network.subnets(prefixlen_diff=2)
    private = [SubnetPlan(zone=zone, cidr=str(part), public=False) for zone, part in zip(zones, quarters, strict=False)]
    parts = itertools.islice(last.subnets(prefixlen_diff=5), len(zones))
    public = [SubnetPlan(zone=zone, cidr=str(part), public=True) for zone, part in zip(zones, parts, strict=True)]
    return (*private, *public)


def _network(vpc: Vpc, *, region: str) -> NetworkPlan:
    if vpc.id:
        return NetworkPlan(
            vpc_id=vpc.id, private_subnet_ids=tuple(sorted(set(vpc.private_subnets))), cidr="", subnets=(), nat_zones=()
        )
    zones = tuple(sorted(vpc.zones or (region + letter for letter in _ZONE_LETTERS.get(region, "abc"))))
    return NetworkPlan(
        vpc_id="", private_subnet_ids=(), cidr=vpc.cidr, subnets=divide(vpc.cidr, zones),
        nat_zones=zones if vpc.nat == "per-zone" else zones[:1],
    )
