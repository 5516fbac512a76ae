"""AwsWorkload: the wiring of what a workload stack has on AWS, beside the objects in its cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build
import pulumi_kubernetes as k8s

from components._auto_mode import auto_mode_dns
from components._aws import aws_provider, kubeconfig
from components._base import Component, Identity, meta
from components._kubernetes import KubernetesObject
from components.aws.aws_endpoint import AwsEndpoint, AwsEndpointArgs
from components.aws.dns_name import DnsName, DnsNameArgs
from components.aws.ec2_gpu_pool import Ec2GpuPool, Ec2GpuPoolArgs
from components.aws.ecr_registry import EcrRegistry, EcrRegistryArgs
from components.aws.entry import Entry, EntryArgs
from components.aws.managed_gpu_pool import ManagedGpuPool, ManagedGpuPoolArgs
from components.aws.spending_limit import SpendingLimit, SpendingLimitArgs
from components.aws.weight_bucket import WeightBucket, WeightBucketArgs
from components.aws.weight_filling import WeightFilling, WeightFillingArgs
from components.dashboard import Dashboard, DashboardArgs
from planner.plan import ApplicationPlan, AwsPlan, GpuNodesPlan, GpuPoolPlan, Plan

__all__ = ["GpuPool", "beside", "endpoint", "filled", "gpu_pool", "providers", "registry", "weights"]

GpuPool = Ec2GpuPool | ManagedGpuPool
"""Nodes of Karpenter or EKS Auto Mode, or managed node groups."""


def providers(plan: AwsPlan) -> list[pulumi.ProviderResource]:
    """AWS, the cluster, and BuildKit with a login for ECR."""
    account = aws_provider(plan)
    asked = pulumi.InvokeOutputOptions(provider=account)
    cluster = k8s.Provider(
        "cluster",
        kubeconfig=_kubeconfig(plan, asked),
        # Without it, a new certificate or address would look like another cluster, and everything be replaced.
        cluster_identifier=plan.arn("eks", f"cluster/{plan.cluster_name}"),
        enable_server_side_apply=True,
    )
    return [account, cluster, docker_build.Provider("images", registries=_logins(plan, asked))]


def _kubeconfig(plan: AwsPlan, asked: pulumi.InvokeOutputOptions) -> pulumi.Output[str]:
    """Of the cluster's stack, or put together from what EKS says about the cluster."""
    if plan.cluster_stack:
        return pulumi.StackReference("cluster", stack_name=plan.cluster_stack).require_output("kubeconfig")
    found = aws.eks.get_cluster_output(name=plan.cluster_name, opts=asked)
    certificate = found.certificate_authorities.apply(lambda items: items[0].data)
    return kubeconfig(plan, endpoint=found.endpoint, certificate=certificate)


def _logins(plan: AwsPlan, asked: pulumi.InvokeOutputOptions) -> list[dict[str, pulumi.Input[str]]] | None:
    """A token for pushing, and for base images of the cluster's cache, valid for 12 hours; nothing where neither is."""
    if not plan.repositories and not plan.cache_prefixes:
        return None
    token = aws.ecr.get_authorization_token_output(registry_id=plan.account, opts=asked)
    login = {"address": plan.registry_server, "username": "AWS", "password": pulumi.Output.secret(token.password)}
    return [login]


def registry(parent: Component, plan: AwsPlan, identity: Identity) -> EcrRegistry:
    """The repositories of the stack's images."""
    return EcrRegistry("registry", EcrRegistryArgs(identity=identity, aws=plan), parent.child())


def gpu_pool(
    parent: Component, plan: Plan, pool: GpuPoolPlan, identity: Identity
) -> GpuPool | None:
    """The stack's GPU nodes; ``None`` where it brings none of its own."""
    if plan.aws is None or plan.aws.gpu_nodes is None:
        return None
    nodes = plan.aws.gpu_nodes
    if pool.kind == "managed-node-group":
        managed = ManagedGpuPoolArgs(aws=plan.aws, pool=pool, nodes=nodes, subnet_ids=_subnets(parent, nodes))
        return ManagedGpuPool("gpu-pool", managed, parent.child())
    args = Ec2GpuPoolArgs(identity=identity, aws=plan.aws, pool=pool, nodes=nodes)
    return Ec2GpuPool("gpu-pool", args, parent.child())


def _subnets(parent: Component, nodes: GpuNodesPlan) -> pulumi.Output[Sequence[str]]:
    """The subnets that Karpenter would find by the same tags, in the zones that are wanted."""
    filters = [{"name": f"tag:{key}", "values": [value]} for key, value in sorted(nodes.subnet_tags.items())]
    if nodes.zones:
        filters.append({"name": "availability-zone", "values": list(nodes.zones)})
    found = aws.ec2.get_subnets_output(filters=filters, opts=pulumi.InvokeOutputOptions(parent=parent))
    return found.ids.apply(_some)


def _some(ids: Sequence[str]) -> Sequence[str]:
    if not ids:
        raise pulumi.RunError(
            "no subnet of the region carries the tags of the cluster's node subnets in the zones of aws.gpu_nodes\n"
            "  To fix: tag the subnets, or state aws.cluster.subnet_tags"
        )
    return sorted(ids)


def weights(parent: Component, plan: AwsPlan, identity: Identity, ready: list[pulumi.Resource]) -> WeightBucket | None:
    """The bucket of the stack's weights; ``None`` where servers ask the hub."""
    if not plan.weights:
        return None
    return WeightBucket("weights", WeightBucketArgs(identity=identity, aws=plan), parent.child(depends_on=ready))


def filled(
    parent: Component, plan: AwsPlan, model: str, identity: Identity, bucket: WeightBucket, image: pulumi.Input[str],
    pull_secret: str,
) -> list[pulumi.Resource]:
    """What must be there before a model server starts: its rights to read, and its weights."""
    found = [one for one in plan.weights if one.model == model]
    made: list[pulumi.Resource] = [
        WeightFilling(
            f"{one.model}-weights",
            WeightFillingArgs(
                identity=identity, weights=one, store=plan.store, image=image, pull_secret=pull_secret
            ),
            parent.child(depends_on=bucket.ready),
        )
        for one in found
    ]
    return [*bucket.ready, *made] if found else []


def beside(parent: Component, plan: Plan, identity: Identity, ready: list[pulumi.Resource]) -> None:
    """What stands beside the workloads: the stack's dashboard and alerts, where the Prometheus operator reads them, its
    budget, and the way to DNS where EKS Auto Mode serves it."""
    if plan.aws is None:
        return
    if plan.namespace.fence and plan.aws.gpu_nodes and plan.aws.gpu_nodes.auto_mode:
        KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy", "dns-of-nodes",
            metadata=meta(identity, "dns-of-nodes", "namespace"),
            spec={"podSelector": {}, "policyTypes": ["Egress"], "egress": [auto_mode_dns()]},
            opts=parent.child(depends_on=ready),
        )
    if plan.aws.budget_usd:
        SpendingLimit("budget", SpendingLimitArgs(aws=plan.aws, stack=identity.stack), parent.child())
    if plan.scrape and plan.scrape.by == "pod-monitor":
        args = DashboardArgs(
            identity=identity, promises=plan.aws.promises, pool=plan.gpu_pool.name if plan.gpu_pool else "",
            prices=plan.aws.node_prices, budget_usd_per_month=plan.aws.budget_usd,
        )
        Dashboard("dashboard", args, parent.child(depends_on=ready))


def endpoint(
    parent: Component, plan: Plan, application: ApplicationPlan, identity: Identity, ready: list[pulumi.Resource]
) -> AwsEndpoint:
    """The load balancer of an application, with certificate and name in DNS where the stack file has an entry."""
    assert plan.aws, "of this target"
    name = application.name
    entry = next((entry for entry in plan.aws.entries if entry.application == name), None)
    more: dict[str, Any] = {}
    if entry:
        args = EntryArgs(entry=entry, name=f"llmagentos-{identity.stack}-{name}")
        made = Entry(f"{name}-entry", args, parent.child())
        more = {
            "host": entry.host, "certificate_arn": made.certificate_arn, "public": entry.public,
            "kind": entry.kind,
            "firewall_arn": made.firewall_arn, "sources": entry.sources,
        }  # fmt: skip
    found = AwsEndpoint(
        f"{name}-endpoint",
        AwsEndpointArgs(
            identity=identity, application=name, type=application.endpoint_type, port=application.endpoint_port,
            target_port=application.port, auth=application.endpoint_auth, stream_seconds=application.stream_seconds,
            tags=plan.aws.tags, scrape=plan.scraped(application), **more,
        ),
        parent.child(depends_on=ready),
    )
    if entry:
        dns = DnsNameArgs(host=entry.host, zone_id=entry.zone_id, address=found.address)
        DnsName(f"{name}-name", dns, parent.child())
    return found
