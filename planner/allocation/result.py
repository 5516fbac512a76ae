"""What comes back: an allocation with every pod on a node, or the constraints that contradict each other."""

from __future__ import annotations

from dataclasses import dataclass

from planner.allocation.problem import Purchase

__all__ = ["Allocation", "Choice", "Conflict", "Constraint", "Infeasible", "Node", "Pods", "Relaxation"]


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Pods of one option of one workload on one node; a replica has as many pods as its option has shards."""

    workload: str
    option: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node and what is on it: the witness that the plan fits.

    Attributes:
        pool, purchase, zone: where it comes from; zone is ``None`` where nothing asked for zones.
        usd_per_hour: its price.
    """

    pool: str
    purchase: Purchase
    zone: str | None
    usd_per_hour: float
    pods: tuple[Pods, ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One option of one workload that is in use.

    Attributes:
        replicas: of this option, over all pools.
        load: replicas that its traffic keeps busy; at most `replicas`.
        shares: for each bucket the fraction of its demand that this option serves.
    """

    workload: str
    option: str
    replicas: int
    load: float
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """A plan that fits.

    Attributes:
        usd_per_hour: price of all nodes in use.
        objective, bound: what was minimised, and a proven lower bound on it; equal to the price for the objective
            ``cost``.
        solver: ``highs`` or ``greedy``; `fallback` says why when it is not the one that was asked for.
        search_nodes: branch-and-bound nodes, `rounds`: programs solved until every pod had a node. Both are the same
            on every machine.
    """

    usd_per_hour: float
    objective: float
    bound: float
    solver: str
    nodes: tuple[Node, ...]
    choices: tuple[Choice, ...]
    search_nodes: int = 0
    rounds: int = 0
    fallback: str = ""

    @property
    def gap(self) -> float:
        """Share of the objective that is not proven necessary, 0 to 1."""
        return 0.0 if self.objective <= self.bound or self.objective <= 0 else 1 - max(0.0, self.bound) / self.objective

    def of(self, workload: str) -> tuple[Choice, ...]:
        """The options in use for one workload or application."""
        return tuple(choice for choice in self.choices if choice.workload == workload)


@dataclass(frozen=True, kw_only=True, order=True)
class Constraint:
    """One thing the input demands, by kind and by the name of its cap, workload or application."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """The least change of one constraint that resolves its conflict, all others kept.

    Attributes:
        current, needed: its value now, and the nearest one that works; ``None``: no value of it does.
        unit: of both.
        usd_per_hour: the lowest cost found once it is changed; ``None`` when `needed` is.
    """

    constraint: Constraint
    current: float
    needed: float | None
    unit: str
    usd_per_hour: float | None = None


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Constraints that cannot all hold, while among themselves all but any one of them can.

    The relaxations are those of the whole problem: where the rest of it wants the same budget, giving up one of the
    constraints may not be enough, and its `needed` is ``None``.
    """

    relaxations: tuple[Relaxation, ...]


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """No plan exists, or (`proven` false) the solver found none.

    Attributes:
        conflicts: each must be resolved, by any one of its relaxations that has a value.
    """

    proven: bool
    solver: str
    conflicts: tuple[Conflict, ...] = ()
