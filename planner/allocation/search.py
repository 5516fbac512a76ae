"""The exact search: solve the program, pack its pods, and again with what that taught, until every pod has a node."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.allocation.cuts import PackingCut
from planner.allocation.formulation import formulate
from planner.allocation.highs import run_highs
from planner.allocation.layout import Layout, Site
from planner.allocation.plan import Counts, Plan, allocation_of, counts_of, pack_site, within_caps
from planner.allocation.result import Allocation

__all__ = ["Found", "Limits", "finish", "search"]

_MAX_ROUNDS = 6


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a search ends: at a relative gap, or after a number of nodes (``None``: by the program's size)."""

    relative_gap: float
    nodes: int | None

    def nodes_for(self, integers: int) -> int:
        """Nodes for a program with that many integer columns.

        A node costs more the larger the program is, so large ones get fewer by default, 80 to 2,000: one model on 12
        GPU types is solved to the end, and a stack of five models on twelve types stays within 2 s on two cores.
        """
        return min(2_000, max(80, 40_000 // max(1, integers))) if self.nodes is None else self.nodes


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best plan of a search, if any; a proven lower bound; and whether it is proven that there is no plan."""

    allocation: Allocation | None
    bound: float
    infeasible: bool = False


def search(layout: Layout, price: Callable[[Site], float], limits: Limits, *, known: Allocation | None = None) -> Found:
    """The cheapest plan by `price` of a node; only cheaper ones than `known` are looked for.

    Raises `RuntimeError` and `ImportError` as the solver does.
    """
    cuts: list[PackingCut] = []
    best = known
    below = math.inf if known is None else known.objective - max(1e-9, limits.relative_gap * abs(known.objective))
    bound, searched, rounds = -math.inf, 0, 0
    for rounds in range(1, _MAX_ROUNDS + 1):  # noqa: B007
        program, columns = formulate(layout, price=price, cuts=cuts, below=below)
        allowed = limits.nodes_for(int(program.integer.sum()))
        run = run_highs(program, relative_gap=limits.relative_gap, node_limit=allowed)
        searched += run.nodes
        if run.infeasible and best is None:
            return Found(allocation=None, bound=math.inf, infeasible=True)
        # Nothing below `below` is cheaper than the bound, and what is not below it costs that at least.
        bound = max(bound, min(run.bound, below))
        if run.values is None:
            break
        plan, learned = _place(layout, counts_of(layout, columns, run.values))
        if plan is not None:
            found = finish(layout, plan, price, solver="highs", bound=bound)
            best = found if best is None or found.objective < best.objective else best
        tolerance = limits.relative_gap * abs(bound) + 1e-9
        # More packing cuts only help where packing is what is between plan and bound, not a search cut short.
        cut_short = run.objective - run.bound > tolerance and (best is not None or searched >= 2 * allowed)
        if not learned or cut_short or (best is not None and best.objective <= bound + tolerance):
            break
        cuts += learned
    if best is None:
        return Found(allocation=None, bound=bound)
    best = replace(best, bound=min(bound, best.objective), search_nodes=searched, rounds=rounds)
    return Found(allocation=best, bound=bound)


def _place(layout: Layout, counts: Counts) -> tuple[Plan | None, list[PackingCut]]:
    """Give every pod a node, taking more nodes where the planned ones do not do; and what each such place teaches."""
    placed: dict[int, tuple[dict[int, int], ...]] = {}
    learned: list[PackingCut] = []
    for site in sorted({site for _, site in counts.replicas}):
        nodes = counts.nodes[site]
        packing, items = pack_site(layout, site, counts, nodes)
        if packing.impossible:
            replicas = tuple((item, counts.replicas[item, site]) for item in items)
            learned.append(PackingCut(pool=layout.sites[site].pool.name, nodes=nodes + 1, counts=replicas))
        while packing.nodes is None:
            nodes += 1
            packing, items = pack_site(layout, site, counts, nodes)
        placed[site] = tuple(dict(zip(items, filling, strict=True)) for filling in packing.nodes)
    used = {site: sum(any(filling.values()) for filling in fillings) for site, fillings in placed.items()}
    return (Plan(nodes=placed, shares=counts.shares) if within_caps(layout, used) else None), learned


def finish(layout: Layout, plan: Plan, price: Callable[[Site], float], *, solver: str, bound: float) -> Allocation:
    """The plan as an allocation, with its objective."""
    objective = math.fsum(
        price(layout.sites[site])
        for site, fillings in plan.nodes.items()
        for filling in fillings
        if any(filling.values())
    )
    return allocation_of(layout, plan, solver=solver, objective=objective, bound=bound)
