"""An independent check that an allocation fits: plain sums over nodes and pods, nothing of the solver's."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from planner.allocation.problem import Cap, Option, Pool, Problem, Workload
from planner.allocation.result import Allocation, Node

__all__ = ["violations"]

_TOLERANCE = 1e-5


def violations(problem: Problem, allocation: Allocation) -> list[str]:
    """Everything that is wrong with the allocation, in sentences; an empty list means it fits.

    Loads are compared with a relative tolerance of 1e-5, far below the error of any throughput model.
    """
    found = [*_nodes(problem, allocation), *_caps(problem, allocation)]
    for workload in problem.all_workloads():
        found += [f"{workload.name}: {text}" for text in _workload(problem, workload, allocation)]
    total = math.fsum(node.usd_per_hour for node in allocation.nodes)
    if not math.isclose(total, allocation.usd_per_hour, rel_tol=1e-9, abs_tol=1e-9):
        found.append(f"the nodes cost {total} USD/h, the allocation says {allocation.usd_per_hour}")
    if allocation.bound > allocation.objective * (1 + _TOLERANCE) + _TOLERANCE:
        found.append(f"the objective {allocation.objective} is below its bound {allocation.bound}")
    return found


def _nodes(problem: Problem, allocation: Allocation) -> Iterator[str]:
    pools = {pool.name: pool for pool in problem.pools}
    workloads = {workload.name: workload for workload in problem.all_workloads()}
    owned: Counter[str] = Counter()
    for number, node in enumerate(allocation.nodes):
        pool, where = pools[node.pool], f"node {number} ({node.pool})"
        owned[node.pool] += node.purchase == "owned"
        if pool.price(node.purchase) != node.usd_per_hour:
            yield f"{where} costs {node.usd_per_hour} as {node.purchase}, its pool says {pool.price(node.purchase)}"
        if node.zone is not None and node.zone not in pool.zones:
            yield f"{where} stands in zone {node.zone}, where the pool is not offered"
        placed = [
            (workloads[pods.workload], _option(workloads[pods.workload], pods.option), pods.count) for pods in node.pods
        ]
        for has, needs, what in (
            (pool.gpus, sum(option.gpus * count for _, option, count in placed), "GPUs"),
            (pool.vcpu, sum(option.vcpu * count for _, option, count in placed), "vCPU"),
            (pool.memory_gib, sum(option.memory_gib * count for _, option, count in placed), "GiB of memory"),
        ):
            if needs > has * (1 + 1e-6):
                yield f"{where} has {has} {what}, its pods ask for {needs}"
        for workload, option, _ in placed:
            yield from (f"{where}: {workload.name} {text}" for text in _misplaced(workload, option, pool, node))
    for name, count in owned.items():
        if count > pools[name].owned_nodes:
            yield f"{count} owned nodes of {name} are used, {pools[name].owned_nodes} exist"


def _misplaced(workload: Workload, option: Option, pool: Pool, node: Node) -> Iterator[str]:
    if option.gpus and option.gpu_type != pool.gpu_type:
        yield f"was sized for {option.gpu_type}, the node has {pool.gpu_type}"
    if not option.gpus and not pool.takes_cpu_pods():
        yield "has no GPU and the node is kept for pods with GPUs"
    if option.pools is not None and pool.name not in option.pools:
        yield f"may only use {', '.join(option.pools)}"
    if node.purchase == "spot" and workload.spot is None:
        yield "must not run on spot"
    together = sum(pods.count for pods in node.pods if pods.workload == workload.name)
    if workload.spread.max_per_node is not None and together > workload.spread.max_per_node:
        yield f"has {together} pods on the node, {workload.spread.max_per_node} are allowed"


def _option(workload: Workload, name: str) -> Option:
    return next(option for option in workload.options if option.name == name)


def _caps(problem: Problem, allocation: Allocation) -> Iterator[str]:
    pools = {pool.name: pool for pool in problem.pools}
    for cap in problem.all_caps():
        used = math.fsum(_counted(cap, node, pools[node.pool]) for node in allocation.nodes)
        if used > cap.limit * (1 + 1e-6) + 1e-9:
            yield f"{cap.name}: {used} {cap.unit} are used, {cap.limit} allowed"


def _counted(cap: Cap, node: Node, pool: Pool) -> float:
    if (cap.pools is not None and pool.name not in cap.pools) or node.purchase not in cap.purchases:
        return 0.0
    figures = {
        "gpus": pool.gpus,
        "vcpu": pool.vcpu,
        "memory_gib": pool.memory_gib,
        "nodes": 1,
        "usd_per_hour": node.usd_per_hour,
        "list_usd_per_hour": pool.list_price(),
    }
    return float(figures[cap.unit])


def _workload(problem: Problem, workload: Workload, allocation: Allocation) -> Iterator[str]:
    pods: Counter[tuple[str, str, str, str | None]] = Counter()
    for node in allocation.nodes:
        pods.update(
            {(p.option, node.pool, node.purchase, node.zone): p.count for p in node.pods if p.workload == workload.name}
        )
    replicas: Counter[str] = Counter()
    zones: Counter[str | None] = Counter()
    firm = 0
    for (name, pool, purchase, zone), count in pods.items():
        whole, rest = divmod(count, _option(workload, name).shards)
        if rest:
            yield f"{count} shards of {name} in {pool} do not make whole replicas"
        replicas[name] += whole
        zones[zone] += whole
        firm += whole if purchase != "spot" else 0
    total = sum(replicas.values())
    if total < workload.min_replicas or (workload.max_replicas is not None and total > workload.max_replicas):
        yield f"{total} replicas, allowed are {workload.min_replicas} to {workload.max_replicas}"
    if workload.max_options is not None and len(+replicas) > workload.max_options:
        yield f"{len(+replicas)} options in use, {workload.max_options} allowed"
    if workload.spot is not None and firm < max(
        min(workload.spot.floor_replicas, total), workload.spot.floor_fraction * total - 1e-6
    ):
        yield f"{firm} of {total} replicas are not on spot, the floor is higher"
    wanted = workload.spread.min_zones
    if wanted > 1 and (len(+zones) < wanted or max(zones.values()) > math.ceil(total / wanted) or None in +zones):
        yield f"{dict(zones)} replicas per zone do not cover {wanted} zones evenly"
    yield from _traffic(workload, allocation, replicas)


def _traffic(workload: Workload, allocation: Allocation, replicas: Counter[str]) -> Iterator[str]:
    served: dict[int, float] = defaultdict(float)
    for choice in allocation.of(workload.name):
        rates = _option(workload, choice.option).requests_per_second
        load = 0.0
        if choice.replicas != replicas[choice.option]:
            yield f"{choice.replicas} replicas of {choice.option} are promised, {replicas[choice.option]} are placed"
        for bucket, (demand, share, rate) in enumerate(zip(workload.demand, choice.shares, rates, strict=True)):
            served[bucket] += share
            if workload.whole_buckets and demand > 0 and not (share < _TOLERANCE or share > 1 - _TOLERANCE):
                yield f"bucket {bucket} is split, {share} of it on {choice.option}"
            if demand * share > 0:
                load += demand * share / rate if rate else math.inf
        if load > choice.replicas * (1 + _TOLERANCE):
            yield f"{choice.option} carries the load of {load} replicas with {choice.replicas}"
    for bucket, demand in enumerate(workload.demand):
        if demand > 0 and not math.isclose(served[bucket], 1.0, abs_tol=_TOLERANCE):
            yield f"{served[bucket]} of bucket {bucket} is served"
