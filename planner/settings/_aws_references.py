"""Faults between parts of a stack file for target aws, read from the raw file like the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from planner.faults import Fault, nearest
from planner.settings._aws_pools import pool_faults
from planner.settings._raw import map_at

__all__ = ["aws_faults"]

_WORKLOAD_ONLY = ("applications", "models", "namespace", "registry", "gpu_pool", "observability", "sizing")


def aws_faults(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """Every fault that concerns target aws and two keys at once, or a cluster stack."""
    if raw.get("target") != "aws":
        yield from _not_aws(raw, where)
        return
    for check in _CHECKS:
        yield from check(raw, where)


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw.get(key)
    return list(value) if isinstance(value, list | tuple) else []


def _not_aws(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    for key in ("aws", "cluster"):
        if raw.get(key) is not None:
            yield Fault(
                what=f"`{key}` goes with target aws, and the target is {raw.get('target')}", where=f"{where}: {key}",
                fix=f"remove {key}, or set target: aws",
            )


def _block(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    if not raw.get("aws"):
        yield Fault(
            what="target aws needs `aws`; where on AWS must be said", where=f"{where}: aws",
            fix='add aws: {account: "123456789012", region: us-east-1, cluster: <name>}',
        )
    if raw.get("context"):
        yield Fault(
            what="target aws finds its cluster through AWS and takes no context", where=f"{where}: context",
            nearest="an EKS cluster by a context of your kubeconfig: target: kubernetes",
            fix="remove context",
        )


def _cluster(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    if raw.get("cluster") is None:
        if raw.get("aws") and not map_at(raw, "aws").get("cluster"):
            yield Fault(
                what="the stack has applications and no cluster for them", where=f"{where}: aws.cluster",
                fix="name the EKS cluster: aws: {cluster: <name>}; a stack with the key `cluster` makes one",
            )
        return
    for key in _WORKLOAD_ONLY:
        if raw.get(key):
            yield Fault(
                what=f"a cluster stack makes a cluster only, and `{key}` belongs to what runs on it",
                where=f"{where}: {key}", fix=f"move {key} to a stack file of its own that names the cluster",
            )
    if map_at(raw, "aws").get("cluster"):
        yield Fault(
            what="a cluster stack makes its own cluster and takes no other", where=f"{where}: aws.cluster",
            fix="remove aws.cluster; the name of the new cluster is cluster.name",
        )


def _regions(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    region = map_at(raw, "aws").get("region")
    if not isinstance(region, str):
        return
    stated = [("aws.gpu_nodes.zones", zone, str(zone)[:-1]) for zone in _list(map_at(raw, "aws", "gpu_nodes"), "zones")]
    stated += [("cluster.vpc.zones", zone, str(zone)[:-1]) for zone in _list(map_at(raw, "cluster", "vpc"), "zones")]
    arns = [
        (f"aws.entries.{name}.certificate", entry.get("certificate"))
        for name, entry in map_at(raw, "aws", "entries").items() if isinstance(entry, Mapping)
    ]  # fmt: skip
    path = "cluster.pull_through.docker_hub_secret"
    arns.append((path, map_at(raw, "cluster", "pull_through").get("docker_hub_secret")))
    stated += [(path, arn, arn.split(":")[3]) for path, arn in arns if isinstance(arn, str) and arn.count(":") > 3]
    for path, value, of in stated:
        if of != region:
            yield Fault(
                what=f"`{value}` is of region {of}, and the stack of {region}", where=f"{where}: {path}",
                fix=f"name one of {region}",
            )


def _entries(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    applications = map_at(raw, "applications")
    for name, entry in map_at(raw, "aws", "entries").items():
        path = f"{where}: aws.entries.{name}"
        if name not in applications:
            hint = nearest(str(name), [str(key) for key in applications])
            yield Fault(what=f"`{name}` is no application of this stack", where=path, nearest=hint,
                        fix="name a key of applications")
            continue
        endpoint = map_at(applications, name, "endpoint")
        if endpoint.get("type") == "ClusterIP":
            yield Fault(
                what="a name in DNS leads to a load balancer, and the endpoint is ClusterIP", where=path,
                fix=f"set applications.{name}.endpoint.type: LoadBalancer, or remove the entry",
            )
        if isinstance(entry, Mapping) and entry.get("public") is True and entry.get("kind") == "nlb":
            yield Fault(
                what="the internet reaches applications through a firewall, and network load balancers take none",
                where=f"{path}.kind", nearest="a network load balancer can be internal: public: false",
                fix="set kind: alb or kind: gateway, or leave it out",
            )
        if isinstance(entry, Mapping) and entry.get("public") is True and endpoint.get("auth") == "none":
            yield Fault(
                what="an entry that the internet reaches must ask callers for a key", where=f"{path}.public",
                nearest="without a key it can be internal: public: false",
                fix=f"set applications.{name}.endpoint.auth: api-key",
            )


def _gpu_nodes(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    nodes, pool = map_at(raw, "aws", "gpu_nodes"), map_at(raw, "gpu_pool")
    if nodes.get("on_demand_gpus") and not pool.get("spot"):
        yield Fault(
            what="on_demand_gpus is the floor under a spot pool, and gpu_pool.spot is false",
            where=f"{where}: aws.gpu_nodes.on_demand_gpus", fix="set gpu_pool.spot: true, or remove on_demand_gpus",
        )
    types = {
        kind
        for model in map_at(raw, "models").values()
        for kind in [map_at(model, "hardware").get("instance_type"), *_list(map_at(model, "hardware"), "fallbacks")]
        if isinstance(kind, str)
    }
    zones = _list(nodes, "zones")
    if len(zones) == 1 and len(types) == 1 and not nodes.get("capacity_reservations"):
        yield Fault(
            what=f"GPU nodes could be of type {next(iter(types))} in zone {zones[0]} only, and AWS is often out of it",
            where=f"{where}: aws.gpu_nodes.zones", nearest="two zones, or two instance types, or a reservation",
            fix="add a zone, or fallbacks to the model's hardware, or capacity_reservations",
        )


def _builds(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    if map_at(raw, "builds").get("cache", "none") != "none" and not raw.get("registry"):
        yield Fault(
            what="a build cache is a tag that every build moves, and tags of the stack's repositories cannot be moved",
            where=f"{where}: builds.cache", nearest="a registry of your own keeps one: registry: {server: ...}",
            fix="set builds.cache: none, or name a registry",
        )


def _weights(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    if map_at(raw, "aws", "weights").get("source", "s3") != "s3":
        return
    # A promoted stack has its revisions from the lock, as it has its images.
    from_lock = any(map_at(found, "image").get("from") for found in map_at(raw, "applications").values())
    for name, model in map_at(raw, "models").items():
        if not isinstance(model, Mapping) or model.get("engine", "vllm") != "vllm":
            continue
        given = map_at(model, "weights")
        if given.get("image") or given.get("path"):
            continue
        if not model.get("revision") and not from_lock:
            yield Fault(
                what="weights are copied to S3 at a commit, and the model names none",
                where=f"{where}: models.{name}.revision", nearest="without S3: aws: {weights: {source: hub}}",
                fix="add revision: <40 hex digits of the commit on the hub>",
            )


_Check = Callable[[Mapping[str, Any], str], Iterator[Fault]]
_CHECKS: tuple[_Check, ...] = (_block, _cluster, _regions, _entries, _gpu_nodes, pool_faults, _builds, _weights)
