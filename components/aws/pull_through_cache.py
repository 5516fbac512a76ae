"""PullThroughCache: copies of other registries' images in the account's own ECR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._base import Component
from planner.plan import CachePlan

__all__ = ["PullThroughCache", "PullThroughCacheArgs"]


@dataclass(frozen=True, kw_only=True)
class PullThroughCacheArgs:
    """What the cache is given: the registries, each with the prefix that its images get in ECR."""

    caches: Sequence[CachePlan]


class PullThroughCache(Component):
    """A rule for each registry. ECR fetches an image when it is first asked for; nodes then need neither the registry
    nor, with the interface endpoints, the NAT gateway.

    Repositories come into being with the first pull. Their tags can be moved, because those of the origin can; images
    of ours are pulled by digest. Nothing expires: what a lock names may be gone from its origin.
    """

    def __init__(self, name: str, args: PullThroughCacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        for cache in args.caches:
            template = aws.ecr.RepositoryCreationTemplate(
                f"{name}-{cache.name}",
                prefix=cache.prefix,
                description=f"Copies of {cache.upstream}",
                applied_fors=["PULL_THROUGH_CACHE"],
                image_tag_mutability="MUTABLE",
                encryption_configurations=[{"encryption_type": "AES256"}],
                opts=self.child(),
            )
            aws.ecr.PullThroughCacheRule(
                f"{name}-{cache.name}",
                ecr_repository_prefix=cache.prefix,
                upstream_registry_url=cache.upstream,
                credential_arn=cache.credential or None,
                opts=self.child(depends_on=[template]),
            )
        self.register_outputs({})
