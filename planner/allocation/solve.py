"""Solving: the program, the packing of its pods, and again with what the packing taught, until every pod has a node."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from planner.allocation.cuts import PackingCut
from planner.allocation.formulation import formulate
from planner.allocation.greedy import greedy_plan
from planner.allocation.highs import run_highs
from planner.allocation.layout import Layout, Site, layout_of
from planner.allocation.plan import Counts, Plan, allocation_of, counts_of, pack_site, within_caps
from planner.allocation.problem import Problem
from planner.allocation.result import Allocation, Infeasible

__all__ = ["DEFAULT_NODE_LIMIT", "DEFAULT_RELATIVE_GAP", "Solver", "allocate", "node_price"]

Solver = Literal["highs", "greedy"]

DEFAULT_RELATIVE_GAP = 1e-6
"""Proven optimal for every practical purpose: the last hundredth of a percent costs next to nothing on these programs."""
DEFAULT_NODE_LIMIT = 5_000
"""Branch-and-bound nodes per program; the benchmark's instances need fewer than 500."""
_MAX_ROUNDS = 25
_OWNED_TIE_BREAK = 1e-3


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
    node_limit: int = DEFAULT_NODE_LIMIT,
    price: Callable[[Site], float] | None = None,
) -> Allocation | Infeasible:
    """One allocation, without looking for the reasons when there is none; `price` replaces the problem's own objective."""
    layout = layout_of(problem)
    price = price or node_price(problem)
    plan = greedy_plan(layout)
    greedy = _finish(layout, plan, price, solver="greedy", bound=-math.inf) if plan else None
    if solver == "greedy":
        return greedy or Infeasible(proven=False, solver="greedy")
    try:
        found, bound, proven = _exact(layout, price, relative_gap, node_limit)
    except (ImportError, RuntimeError) as error:
        return _fallback(greedy, bound=-math.inf, why=str(error)) or Infeasible(proven=False, solver="highs")
    if proven:
        return Infeasible(proven=True, solver="highs")
    if found is None or (greedy is not None and greedy.objective < found.objective):
        why = f"no better plan within {node_limit} search nodes"
        return _fallback(greedy, bound=bound, why=why) or Infeasible(proven=False, solver="highs")
    return found


def _fallback(greedy: Allocation | None, *, bound: float, why: str) -> Allocation | None:
    from dataclasses import replace

    return None if greedy is None else replace(greedy, fallback=why, bound=min(bound, greedy.objective))


def _exact(
    layout: Layout, price: Callable[[Site], float], relative_gap: float, node_limit: int
) -> tuple[Allocation | None, float, bool]:
    """(best allocation, proven bound, proven infeasible)."""
    cuts: list[PackingCut] = []
    best: Allocation | None = None
    bound, searched = -math.inf, 0
    for rounds in range(1, _MAX_ROUNDS + 1):
        program, columns = formulate(layout, price=price, cuts=cuts)
        run = run_highs(program, relative_gap=relative_gap, node_limit=node_limit)
        searched += run.nodes
        if run.infeasible:
            # Every cut is valid, so what they exclude does not exist; a plan found before can only have been optimal.
            return (best, best.objective if best else math.inf, best is None)
        bound = max(bound, run.bound)
        if run.values is None:
            break
        plan, learned = _place(layout, counts_of(layout, columns, run.values))
        if plan is not None:
            found = _finish(layout, plan, price, solver="highs", bound=bound, search_nodes=searched, rounds=rounds)
            best = found if best is None or found.objective < best.objective else best
        if not learned or (best is not None and best.objective <= bound + relative_gap * abs(bound) + 1e-9):
            break
        cuts += learned
    if best is None:
        return None, bound, False
    return _with(best, bound=bound, search_nodes=searched, rounds=rounds), bound, False


def _with(allocation: Allocation, *, bound: float, search_nodes: int, rounds: int) -> Allocation:
    from dataclasses import replace

    return replace(allocation, bound=min(bound, allocation.objective), search_nodes=search_nodes, rounds=rounds)


def _place(layout: Layout, counts: Counts) -> tuple[Plan | None, list[PackingCut]]:
    """Give every pod a node, buying more nodes where the planned ones do not do; and what is learned from each such place."""
    placed: dict[int, tuple[dict[int, int], ...]] = {}
    learned: list[PackingCut] = []
    for site in sorted({site for _, site in counts.replicas}):
        nodes = counts.nodes[site]
        packing, items = pack_site(layout, site, counts, nodes)
        if packing.impossible:
            learned.append(PackingCut(
                pool=layout.sites[site].pool.name, nodes=nodes + 1,
                counts=tuple((item, counts.replicas[item, site]) for item in items),
            ))  # fmt: skip
        while packing.nodes is None:
            nodes += 1
            packing, items = pack_site(layout, site, counts, nodes)
        placed[site] = tuple(dict(zip(items, filling, strict=True)) for filling in packing.nodes)
    used = {site: sum(any(filling.values()) for filling in fillings) for site, fillings in placed.items()}
    return (Plan(nodes=placed, shares=counts.shares) if within_caps(layout, used) else None), learned


def _finish(
    layout: Layout, plan: Plan, price: Callable[[Site], float], *, solver: str, bound: float, **counters: int
) -> Allocation:
    objective = math.fsum(
        price(layout.sites[site]) for site, fillings in plan.nodes.items() for filling in fillings if any(filling.values())
    )
    return allocation_of(layout, plan, solver=solver, objective=objective, bound=bound, **counters)
