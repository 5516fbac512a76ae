"""Instance types that can stand in for a chosen one: the same GPUs in a node, the same command line, enough speed.

With two types or more Karpenter finds capacity where one is sold out; it takes the cheapest that it can get.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.allocation import Allocation
from planner.catalogue import Catalogue, usd_per_month
from planner.choice import Candidate
from planner.settings import GpuPool, StackSettings
from planner.sizing.build import Prepared
from planner.sizing.types import SizedModel

__all__ = ["with_fallbacks"]

_MOST = 2
_MOST_TIMES_DEARER = 2.0
"""A node that costs more than twice as much is a decision, not a stand-in."""


def with_fallbacks(
    models: Mapping[str, SizedModel],
    settings: StackSettings,
    prepared: Prepared,
    catalogue: Catalogue,
    result: Allocation,
) -> dict[str, SizedModel]:
    """Adds them, model by model in the order of names, as long as the budget bears the dearest of them: policies count
    that one. Nodes of an existing pool have none: what exists cannot be replaced by another type."""
    if settings.gpu_pool.kind == "existing":
        return dict(models)
    budget = settings.budget.usd_per_month
    pools = {pool.name: pool for pool in prepared.problem.pools}
    month = usd_per_month(sum(pools[node.pool].list_price() for node in result.nodes))
    made: dict[str, SizedModel] = {}
    for name, sized in models.items():
        added: list[str] = []
        dearest = 0.0
        for candidate in _equivalents(name, sized, prepared, catalogue):
            price = catalogue.instances[candidate.instance_type].usd_per_hour
            assert price is not None and sized.usd_per_hour is not None
            extra = usd_per_month(price - sized.usd_per_hour) * sized.nodes
            if len(added) == _MOST or (budget is not None and month + extra > budget):
                break
            if not _within_quotas(candidate.instance_type, sized.nodes, settings.gpu_pool, catalogue):
                continue
            added.append(candidate.instance_type)
            dearest = extra
        month += dearest
        made[name] = sized.model_copy(update={"fallbacks": tuple(added)})
    return made


def _equivalents(name: str, sized: SizedModel, prepared: Prepared, catalogue: Catalogue) -> list[Candidate]:
    """Cheapest first. A node holds as many GPUs, so limits on GPUs mean the same; a replica of it is as fast."""
    chosen = catalogue.instances[sized.instance_type]
    found = []
    for (model, _), candidate in prepared.usable.items():
        instance = catalogue.instances[candidate.instance_type]
        price = instance.usd_per_hour
        same = (candidate.precision, candidate.tensor_parallel, candidate.pipeline_parallel) == (
            sized.precision, sized.tensor_parallel, sized.pipeline_parallel
        )  # fmt: skip
        if (
            model == name
            and same
            and instance.name != chosen.name
            and (instance.gpus, instance.architecture) == (chosen.gpus, chosen.architecture)
            and candidate.kv_bytes == 2
            and candidate.sequence_limit >= sized.max_sequences
            and candidate.batched_tokens >= sized.batched_tokens
            and candidate.requests_per_second >= sized.requests_per_second * (1 - 1e-3)
            and price is not None
            and sized.usd_per_hour is not None
            and sized.usd_per_hour <= price <= sized.usd_per_hour * _MOST_TIMES_DEARER
        ):
            found.append((price, instance.name, candidate))
    return [candidate for _, _, candidate in sorted(found, key=lambda entry: entry[:2])]


def _within_quotas(name: str, nodes: int, pool: GpuPool, catalogue: Catalogue) -> bool:
    """Whether the account allows that many nodes of the type alone."""
    instance = catalogue.instances[name]
    sizes = {"nodes": 1, "gpus": instance.gpus, "vcpu": instance.vcpu}
    limits = [(unit, limit) for quota in pool.quotas if quota.covers(name) for unit, limit in quota.limits.items()]
    return all(sizes[unit] * nodes <= limit for unit, limit in limits)
