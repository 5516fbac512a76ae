"""Rows that tell the linear relaxation what bin packing knows: pods do not straddle nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["PackingCut", "packing_rows"]

_TOLERANCE = 1e-9
_MOST_PER_NODE = 12


@dataclass(frozen=True, kw_only=True)
class PackingCut:
    """Learned from a plan whose pods did not fit: `counts` replicas need at least `nodes` nodes of the pool.

    Taking one pod away saves at most one node, so for any other replicas r the nodes are at least
    ``nodes - sum(shards * max(0, counts - r))``: a valid inequality, and the plan it came from breaks it.

    Attributes:
        pool: name of the pool; the cut holds for each of its sites.
        counts: (index of the item, replicas).
    """

    pool: str
    counts: tuple[tuple[int, int], ...]
    nodes: int


def packing_rows(fractions: Sequence[float]) -> Iterator[tuple[float, ...]]:
    """Coefficients a with ``sum(a * pods) <= nodes``, from the share of a node that one pod of each kind takes up.

    The first is the share itself. The others are the dual feasible functions u(k) of Fekete and Schepers ("New classes
    of fast lower bounds for bin packing problems", Mathematical Programming 91, 2001): x stays x where x (k + 1) is
    whole, and else becomes floor(x (k + 1)) / k. For k = 1 this is "of pods larger than half a node, one per node".
    """
    plain = tuple(fractions)
    seen = {plain}
    if any(plain):
        yield plain
    most = {math.floor((1 + _TOLERANCE) / share) for share in plain if share > 0}
    for k in sorted(count for count in most if 1 <= count <= _MOST_PER_NODE):
        row = tuple(_rounded(share, k) for share in plain)
        stronger = any(new > old + _TOLERANCE for new, old in zip(row, plain, strict=True))
        if stronger and row not in seen:
            seen.add(row)
            yield row


def _rounded(share: float, k: int) -> float:
    scaled = share * (k + 1)
    whole = round(scaled)
    if abs(scaled - whole) < _TOLERANCE:
        return share
    return math.floor(scaled) / k
