"""Where the pods of applications fit, in the form in which the lock keeps it, with the reasons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from planner.allocation import Allocation, Node, Pool, Problem, allocate
from planner.catalogue import Catalogue, InstanceType, usd_per_month
from planner.nodes import NODE_SHARE
from planner.sizing.cpu_side import CpuSide, pod_size
from planner.sizing.placed import nodes_of
from planner.sizing.pools import PoolBook
from planner.sizing.types import SizedApplications, SizedRejection

__all__ = ["sized_applications"]

_GAP = 1e-4
_SHOWN = 4


def sized_applications(
    side: CpuSide, result: Allocation | None, *, book: PoolBook, catalogue: Catalogue
) -> SizedApplications | None:
    """What holds the pods, with the reasons; ``None`` where there are none or nothing can hold them.

    Args:
        side: the pods.
        result: the program of the models where the pods are part of it; they are placed here otherwise.
        book: what the names of pools stand for.
        catalogue: facts.
    """
    problem = side.problem
    if result is None or not side.counted:
        found = allocate(problem, relative_gap=_GAP) if problem.applications else None
        result = found if isinstance(found, Allocation) else None
    if result is None:
        return None
    pools = {pool.name: pool for pool in problem.pools}
    nodes = tuple(node for node in result.nodes if node.pool in pools)
    if not nodes:
        return None
    kinds = {node.pool: book.instance(node.pool) for node in nodes}
    priced = [kind for kind in kinds.values() if kind.price_date]
    return SizedApplications(
        pods={pod.name: pod.replicas for pod in problem.applications},
        nodes=nodes_of(problem, replace(result, nodes=nodes), book),
        counted=side.counted,
        usd_per_month=round(usd_per_month(_rent(nodes)), 2),
        price_source=", ".join(sorted({kind.price_source for kind in priced})),
        price_date=min((kind.price_date for kind in priced), default=""),
        chosen=_in_words(problem, nodes, kinds),
        binding=_binding(problem, nodes, pools),
        runner_up=_runner_up(problem, kinds.values(), book),
        rejected=(*_rejected(problem, kinds.values(), catalogue), *side.left_out),
    )


def _rent(nodes: Iterable[Node]) -> float:
    return math.fsum(node.usd_per_hour for node in nodes)


def _in_words(problem: Problem, nodes: tuple[Node, ...], kinds: Mapping[str, InstanceType]) -> str:
    pods = sum(pod.replicas for pod in problem.applications)
    counts = Counter(node.pool for node in nodes)
    parts = []
    for pool, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        free = next(node for node in nodes if node.pool == pool).purchase == "owned"
        price = "owned" if free else f"at {kinds[pool].usd_per_hour:.4f} USD/h"
        parts.append(f"{count} x {kinds[pool].name} {price}")
    return f"{pods} pod{'s' if pods > 1 else ''} at most, on {' and '.join(parts)}"


def _binding(problem: Problem, nodes: tuple[Node, ...], pools: Mapping[str, Pool]) -> str:
    vcpu = sum(pod.vcpu * pod.replicas for pod in problem.applications)
    memory = sum(pod.memory_gib * pod.replicas for pod in problem.applications)
    has_vcpu = sum(pools[node.pool].vcpu for node in nodes)
    has_memory = sum(pools[node.pool].memory_gib for node in nodes)
    fuller = "vCPU" if vcpu * has_memory >= memory * has_vcpu else "memory"
    return (
        f"{fuller} fills these nodes first: the pods request {vcpu:g} of the {has_vcpu:g} vCPU and {memory:g} of the "
        f"{has_memory:g} GiB that pods may use ({NODE_SHARE:.0%} of a node)"
    )


def _family(kind: InstanceType) -> str:
    return kind.name.partition(".")[0]


def _runner_up(problem: Problem, used: Iterable[InstanceType], book: PoolBook) -> str:
    """The cheapest nodes of other families: another size of the same tells little."""
    taken = {_family(kind) for kind in used}
    kept = tuple(pool for pool in problem.pools if _family(book.instance(pool.name)) not in taken)
    names = {pool.name for pool in kept}
    pods = tuple(replace(a, pools=tuple(n for n in a.pools or () if n in names)) for a in problem.applications)
    found = allocate(replace(problem, pools=kept, applications=pods), relative_gap=_GAP) if kept else None
    if not isinstance(found, Allocation):
        return ""
    kinds = {node.pool: book.instance(node.pool) for node in found.nodes}
    month = usd_per_month(_rent(found.nodes))
    return f"{_in_words(problem, found.nodes, kinds).partition(', on ')[2]}, {month:,.2f} USD/month"


def _rejected(
    problem: Problem, used: Iterable[InstanceType], catalogue: Catalogue
) -> Iterator[SizedRejection]:
    """Machines that are cheaper than the dearest one chosen, and do not hold the largest pod."""
    largest = max(problem.applications, key=lambda pod: (pod.vcpu, pod.memory_gib, pod.name))
    taken = {kind.name: kind.usd_per_hour for kind in used}
    price = max((price for price in taken.values() if price is not None), default=0.0)
    cheaper = [
        kind for kind in catalogue.instances.values()
        if kind.supported and not kind.gpus and kind.name not in taken
        and kind.usd_per_hour is not None and kind.usd_per_hour < price
        and any(pool.split(" ")[-1] == kind.name for pool in largest.pools or ())
        and (largest.vcpu > kind.vcpu * NODE_SHARE or largest.memory_gib > kind.memory_gib * NODE_SHARE)
    ]  # fmt: skip
    for kind in sorted(cheaper, key=lambda kind: (-(kind.usd_per_hour or 0), kind.name))[:_SHOWN]:
        yield SizedRejection(
            option=f"{kind.name}, {kind.usd_per_hour:.4f} USD/h",
            reason=f"a pod of {largest.name} requests {pod_size(largest)}, and pods may use "
            f"{kind.vcpu * NODE_SHARE:g} vCPU and {kind.memory_gib * NODE_SHARE:g} GiB of it",
        )
