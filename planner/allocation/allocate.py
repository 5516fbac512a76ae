"""Solving a problem: HiGHS, a second look where its search was cut short, greedy as second solver and as fall-back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Literal

from planner.allocation.greedy import greedy_plan
from planner.allocation.layout import Layout, Site, layout_of
from planner.allocation.problem import Problem
from planner.allocation.result import Allocation, Infeasible
from planner.allocation.search import Found, Limits, finish, search
from planner.allocation.shortlist import shortlisted

__all__ = ["DEFAULT_RELATIVE_GAP", "Solver", "allocate", "node_price"]

Solver = Literal["highs", "greedy"]

DEFAULT_RELATIVE_GAP = 1e-6
"""Proven optimal: where that is hard to reach, the node limit ends the search."""
_OWNED_TIE_BREAK = 1e-3
_WORTH_A_SECOND_LOOK = 1e-3


def node_price(problem: Problem) -> Callable[[Site], float]:
    """What one node of a site counts in the objective of the problem."""
    if problem.objective == "cost":
        return lambda site: site.price
    rents = [price for pool in problem.pools for price in (pool.usd_per_hour, pool.spot_usd_per_hour) if price]
    owned = math.fsum(pool.owned_nodes * (pool.gpus or pool.vcpu) for pool in problem.pools) or 1.0
    # All owned nodes together weigh a thousandth of the cheapest rent, so rent decides and fullness breaks its ties.
    unit = _OWNED_TIE_BREAK * min(rents, default=1.0) / owned
    return lambda site: unit * (site.pool.gpus or site.pool.vcpu) if site.purchase == "owned" else site.price


def allocate(
    problem: Problem,
    *,
    solver: Solver = "highs",
    relative_gap: float = DEFAULT_RELATIVE_GAP,
    node_limit: int | None = None,
    price: Callable[[Site], float] | None = None,
) -> Allocation | Infeasible:
    """One allocation, without the reasons when there is none (`solve` gives them).

    Args:
        solver: ``highs``, or ``greedy``, which proves nothing.
        relative_gap: the search ends once the plan is proven to cost at most this share too much.
        node_limit: the search ends after this many branch-and-bound nodes; ``None``: by the size of the program. Never
            a time, so the same input gives the same answer on every machine.
        price: what one node counts, instead of the problem's own objective.
    """
    layout = layout_of(problem)
    price = price or node_price(problem)
    if solver == "greedy":
        return _greedy(layout, price) or Infeasible(proven=False, solver="greedy")
    limits = Limits(relative_gap=relative_gap, nodes=node_limit)
    try:
        few = shortlisted(layout)
        known = search(layout_of(few), price, limits).allocation if few else None
        found = search(layout, price, limits, known=known)
        if found.infeasible:
            return Infeasible(proven=True, solver="highs")
        best = found.allocation if known else _second_look(problem, found, price, limits)
    except (ImportError, RuntimeError) as error:
        best, found, why = None, Found(allocation=None, bound=-math.inf), f"HiGHS is not usable: {error}"
    else:
        why = "no better plan within the limit of search nodes"
    if best is not None and best.gap <= limits.relative_gap:
        return best
    greedy = _greedy(layout, price)
    if greedy is not None and (best is None or greedy.objective < best.objective):
        return replace(greedy, fallback=why, bound=min(found.bound, greedy.objective))
    return best or Infeasible(proven=False, solver="highs")


def _greedy(layout: Layout, price: Callable[[Site], float]) -> Allocation | None:
    plan = greedy_plan(layout)
    return finish(layout, plan, price, solver="greedy", bound=-math.inf) if plan else None


def _second_look(problem: Problem, found: Found, price: Callable[[Site], float], limits: Limits) -> Allocation | None:
    """Where the search was cut short: the best of two smaller ones, whose plans are plans of the whole problem too.

    One option for each workload is a far smaller program and nearly as cheap. The options that it and the plan found
    use, mixed freely, are the second.
    """
    best = found.allocation
    if best is not None and best.gap <= max(limits.relative_gap, _WORTH_A_SECOND_LOOK):
        return best
    narrow = _restricted(problem, used={}, one=True)
    if narrow == problem:
        return best
    single = search(layout_of(narrow), price, limits).allocation
    best = _better(best, single, found.bound)
    if best is None or found.allocation is None or single is None:
        return best
    used: dict[str, set[str]] = {}
    for choice in (*found.allocation.choices, *single.choices):
        used.setdefault(choice.workload, set()).add(choice.option)
    mixed = search(layout_of(_restricted(problem, used=used, one=False)), price, limits).allocation
    return _better(best, mixed, found.bound)


def _better(best: Allocation | None, other: Allocation | None, bound: float) -> Allocation | None:
    if other is None or (best is not None and best.objective <= other.objective):
        return best
    return replace(other, bound=min(bound, other.objective))


def _restricted(problem: Problem, *, used: Mapping[str, Set[str]], one: bool) -> Problem:
    """The problem with one option per workload, or with the options in use only."""
    workloads = (
        replace(
            workload,
            max_options=1 if one and len(workload.options) > 1 else workload.max_options,
            options=tuple(o for o in workload.options if o.name in used.get(workload.name, {o.name})),
        )
        for workload in problem.workloads
    )
    return replace(problem, workloads=tuple(workloads))
