"""References to images by way of the copies that ECR keeps of other registries."""

from __future__ import annotations

from planner.plan.aws_types import AwsPlan

__all__ = ["UPSTREAMS", "cache_prefix", "through_cache"]

UPSTREAMS = {
    "docker-hub": "registry-1.docker.io",
    "ecr-public": "public.ecr.aws",
    "kubernetes": "registry.k8s.io",
    "quay": "quay.io",
}
"""Host of each registry, as ECR is told."""
_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


def cache_prefix(cluster: str, registry: str) -> str:
    """How names of repositories begin in which a cluster's cache keeps the images of a registry; ECR allows 30
    characters."""
    return f"{cluster}-{registry}"[:30].rstrip("-")


def through_cache(aws: AwsPlan, reference: str) -> str:
    """The reference by way of the cluster's cache; unchanged where the cache does not keep its registry.

    Args:
        aws: the registries that are kept.
        reference: as Docker takes it: without a host it is Docker Hub's, without a slash one of its official images.
    """
    host, slash, path = reference.partition("/")
    # Docker's own rule of what is a host.
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = "docker.io", reference
    if host in _DOCKER_HUB:
        host, path = UPSTREAMS["docker-hub"], path if "/" in path else f"library/{path}"
    prefix = aws.cache_prefixes.get(host, "")
    return f"{aws.registry_server}/{prefix}/{path}" if prefix else reference
