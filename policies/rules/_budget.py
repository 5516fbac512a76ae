"""Adding up what a stack, or one namespace of it, takes at maximum scale, and holding it against a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ._cost import workload_cost
from ._model import KubeObject, Resource, Stack
from ._node import UnknownAt
from ._pools import Pool, Unpriced, pools
from ._rule import Violation
from ._scale import Demand, demand_of

__all__ = ["MEASURES", "STACK_TYPE", "Amount", "Limit", "Measure", "Scope", "over", "scopes", "sum_up"]

STACK_TYPE = "llmagentos:components:LlmStack"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a limit applies to: a whole stack (``namespace`` None) or one namespace of it."""

    stack: Stack
    namespace: str | None
    urn: str

    @property
    def object(self) -> str:
        return "the stack" if self.namespace is None else f"Namespace/{self.namespace or 'default'}"

    @property
    def workloads(self) -> Iterator[KubeObject]:
        return (
            found for found in self.stack.workloads
            if found.kind != "PodTemplate" and self.namespace in (None, found.namespace)
        )


@dataclass(frozen=True, kw_only=True)
class Amount:
    """The share of one object; ``replicas`` is 0 where it has none that could be lowered."""

    object: str
    amount: float
    detail: str
    replicas: int = 0


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit and the file it stands in."""

    value: float
    file: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One thing that is budgeted; ``key`` is its name in the settings, ``stack_key`` that in the stack's own budget."""

    key: str
    stack_key: str
    show: Callable[[float], str]
    of_demand: Callable[[Demand, Sequence[Pool]], Amount | None]
    of_pools: Callable[[Pool], float] | None = None
    pools_add: bool = False


def scopes(stack: Stack) -> Iterator[Scope]:
    """The stack as a whole, and each namespace that has workloads."""
    urn = next((resource.urn for resource in stack.resources if resource.type == STACK_TYPE), "")
    yield Scope(stack=stack, namespace=None, urn=urn)
    for namespace in sorted({found.namespace for found in stack.workloads}):
        yield Scope(stack=stack, namespace=namespace, urn=urn)


def limit_of(scope: Scope, measure: Measure, config: Any) -> Limit | None:
    """The lowest limit that applies."""
    file = f"policies/config/{config['environment']}.json" if config.get("environment") else "the policy configuration"
    if scope.namespace is not None:
        named = config["namespaces"].get(scope.namespace or "default", config["namespaces"].get("*", {}))
        return Limit(value=named[measure.key], file=file) if measure.key in named else None
    found = [Limit(value=config[measure.key], file=file)] if config.get(measure.key) is not None else []
    for resource in scope.stack.resources:
        if resource.type == STACK_TYPE:
            budget = resource.root.get("budget")
            number = budget.get(measure.stack_key).number
            if number is not None:
                found.append(Limit(value=number, file=budget.get("file").text or "the stack file"))
    return min(found, key=lambda limit: limit.value, default=None)


def sum_up(scope: Scope, measure: Measure) -> tuple[list[Amount], list[Violation]]:
    """The shares of all objects, and what could not be counted: that is a violation at once, because a budget that is
    checked only after the machines are bought protects nothing."""
    amounts: list[Amount] = []
    problems: list[Violation] = []
    available = pools(scope.stack)
    used: set[str] = set()
    for found in scope.workloads:
        try:
            demand = demand_of(scope.stack, found)
            amount = measure.of_demand(demand, available)
            if amount is not None:
                amounts.append(amount)
                used |= {pool.object for pool in available if all(pool.accepts(pod) for pod in found.pods)}
        except (UnknownAt, Unpriced) as error:
            problems.append(_uncounted(found, error))
    if scope.namespace is None and measure.of_pools is not None:
        shares = [
            _share(pool, measure, problems) for pool in available if not measure.pools_add or pool.object not in used
        ]
        amounts = _combine(measure, amounts, [share for share in shares if share])
    return amounts, problems


def _share(pool: Pool, measure: Measure, problems: list[Violation]) -> Amount | None:
    assert measure.of_pools is not None
    try:
        amount = measure.of_pools(pool)
    except (UnknownAt, Unpriced) as error:
        problems.append(_uncounted(pool.found, error))
        return None
    if math.isinf(amount):
        problems.append(Violation(
            path="", message=f"{pool.object} has no limit on GPUs, processors, memory or nodes, so there is no maximum",
            fix=f"set `limits` of {pool.object}",
        ))
        return None
    return Amount(object=pool.object, amount=amount, detail="at its limits") if amount else None


def _combine(measure: Measure, demanded: list[Amount], offered: list[Amount]) -> list[Amount]:
    """Money: pools that no workload of the stack uses are added. GPUs: the larger of what pods ask for and pools may
    buy."""
    if measure.pools_add:
        return demanded + offered
    return max(demanded, offered, key=lambda amounts: sum(share.amount for share in amounts))


def _uncounted(found: KubeObject | Resource, error: UnknownAt | Unpriced) -> Violation:
    why = "a value that is not known at preview decides it" if isinstance(error, UnknownAt) else str(error)
    return Violation(
        path=error.path, message=f"{found.object} cannot be counted: {why}",
        fix=f"state the value at {error.path} in plain, with a known instance type where it is one",
    )


def over(scope: Scope, measure: Measure, limit: Limit, amounts: Sequence[Amount]) -> str:
    """The sum, the limit with its file, and the three largest contributors."""
    largest = sorted(amounts, key=lambda share: -share.amount)[:3]
    parts = "; ".join(f"{share.object} {measure.show(share.amount)} ({share.detail})" for share in largest)
    total = sum(share.amount for share in amounts)
    return (
        f"{scope.object} takes {measure.show(total)} at maximum scale; the limit is {measure.show(limit.value)} "
        f"({limit.file}). Largest: {parts}"
    )


def nearest(measure: Measure, limit: Limit, amounts: Sequence[Amount]) -> str:
    """The smallest change that would pass."""
    excess = sum(share.amount for share in amounts) - limit.value
    for share in sorted(amounts, key=lambda share: share.amount):
        if share.replicas:
            fewer = math.ceil(excess / (share.amount / share.replicas) - 1e-9)
            if share.replicas - fewer >= 1:
                return f"lower the maximum replicas of {share.object} from {share.replicas} to {share.replicas - fewer}"
        elif share.amount > excess:
            return f"lower the limits of {share.object} so that it takes at most {measure.show(share.amount - excess)}"
    total = math.ceil((limit.value + excess) * 100) / 100
    return f"take less, or raise the limit in {limit.file} to {measure.show(total)}"


def _cost(demand: Demand, available: Sequence[Pool]) -> Amount | None:
    costs = workload_cost(demand, available)
    detail = ", ".join(f"{cost.nodes} x {cost.instance.name}" for cost in costs)
    return _amount(demand, sum(cost.usd_per_month for cost in costs), detail)


def _gpus(demand: Demand, available: Sequence[Pool]) -> Amount | None:
    return _amount(demand, demand.gpus, f"{demand.replicas} replicas x {demand.gpus / max(demand.replicas, 1):g}")


def _memory(demand: Demand, available: Sequence[Pool]) -> Amount | None:
    gib = demand.memory_bytes / 2**30
    return _amount(demand, gib, f"{demand.replicas} replicas x {gib / max(demand.replicas, 1):.4g} GiB")


def _replicas(demand: Demand, available: Sequence[Pool]) -> Amount | None:
    return _amount(demand, demand.replicas, f"at most {demand.replicas}")


def _amount(demand: Demand, amount: float, detail: str) -> Amount | None:
    return Amount(object=demand.object, amount=amount, detail=detail, replicas=demand.replicas) if amount else None


MEASURES = {
    measure.key: measure
    for measure in (
        Measure(
            key="usd_per_month",
            stack_key="usdPerMonth",
            show=lambda amount: f"{amount:,.0f} USD a month",
            of_demand=_cost,
            of_pools=lambda pool: pool.usd_per_month,
            pools_add=True,
        ),
        Measure(
            key="gpus",
            stack_key="gpus",
            show=lambda amount: f"{amount:g} GPUs",
            of_demand=_gpus,
            of_pools=lambda pool: pool.gpus,
        ),
        Measure(key="memory_gib", stack_key="memoryGib", show=lambda amount: f"{amount:,.4g} GiB", of_demand=_memory),
        Measure(key="replicas", stack_key="replicas", show=lambda amount: f"{amount:g} replicas", of_demand=_replicas),
    )
}
