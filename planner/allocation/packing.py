"""Which pod on which node: identical nodes, pods of several sizes in several dimensions (vector bin packing).

First-fit by decreasing size in several orders answers nearly always; where it fails, a depth-first search over
maximal fillings of a node settles the question, up to a number of fillings tried (never a time), so that the answer
is reproducible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Packing", "pack"]

Counts = tuple[int, ...]

_TOLERANCE = 1e-9
_MAX_FILLINGS = 5_000
_MAX_SEARCHED_NODES = 150


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Answer to "do these pods fit on that many nodes?".

    Attributes:
        nodes: for each node the pods of every kind on it; ``None``: no packing was found.
        impossible: proven that there is none (not only that none was found).
    """

    nodes: tuple[Counts, ...] | None
    impossible: bool = False


def pack(*, capacity: Sequence[float], sizes: Sequence[Sequence[float]], counts: Sequence[int], nodes: int) -> Packing:
    """Place `counts` pods of the given `sizes` (one row per kind) on at most `nodes` nodes of the given `capacity`."""
    fractions = [_fractions(size, capacity) for size in sizes]
    wanted = tuple(counts)
    if not any(wanted):
        return Packing(nodes=((0,) * len(wanted),) * nodes)
    if any(count and max(fraction) > 1 + _TOLERANCE for count, fraction in zip(wanted, fractions, strict=True)):
        return Packing(nodes=None, impossible=True)
    for dimension in range(len(capacity)):
        if sum(c * f[dimension] for c, f in zip(wanted, fractions, strict=True)) > nodes * (1 + _TOLERANCE):
            return Packing(nodes=None, impossible=True)
    for order in _orders(fractions):
        filled = _first_fit(wanted, fractions, order)
        if len(filled) <= nodes:
            return Packing(nodes=tuple(filled) + ((0,) * len(wanted),) * (nodes - len(filled)))
    return _search(wanted, fractions, nodes) if nodes <= _MAX_SEARCHED_NODES else Packing(nodes=None)


def _fractions(size: Sequence[float], capacity: Sequence[float]) -> tuple[float, ...]:
    return tuple(s / c if c else (0.0 if s == 0 else 2.0) for s, c in zip(size, capacity, strict=True))


def _orders(fractions: Sequence[tuple[float, ...]]) -> Iterator[list[int]]:
    kinds = range(len(fractions))
    yield sorted(kinds, key=lambda kind: (-max(fractions[kind]), -sum(fractions[kind]), kind))
    yield sorted(kinds, key=lambda kind: (-sum(fractions[kind]), kind))
    for dimension in range(len(fractions[0])):
        yield sorted(kinds, key=lambda kind: (-fractions[kind][dimension], -sum(fractions[kind]), kind))


def _room(used: Sequence[float], fraction: Sequence[float]) -> int:
    """How many more pods of one kind fit beside what is used."""
    return min((int((1 + _TOLERANCE - u) / f) for u, f in zip(used, fraction, strict=True) if f > 0), default=1_000_000)


def _first_fit(wanted: Counts, fractions: Sequence[tuple[float, ...]], order: Sequence[int]) -> list[Counts]:
    filled: list[list[int]] = []
    used: list[list[float]] = []
    for kind in order:
        left = wanted[kind]
        index = 0
        while left:
            if index == len(filled):
                filled.append([0] * len(wanted))
                used.append([0.0] * len(fractions[0]))
            taken = min(left, _room(used[index], fractions[kind]))
            filled[index][kind] += taken
            used[index] = [u + taken * f for u, f in zip(used[index], fractions[kind], strict=True)]
            left -= taken
            index += 1
    return [tuple(node) for node in filled]


def _fillings(left: Counts, fractions: Sequence[tuple[float, ...]], order: Sequence[int]) -> Iterator[Counts]:
    """Every filling of one node that nothing left could still join and that holds the first kind left."""
    first = next(position for position, kind in enumerate(order) if left[kind])

    def extend(position: int, chosen: list[int], used: list[float], skipped: list[int]) -> Iterator[Counts]:
        if position == len(order):
            if all(_room(used, fractions[kind]) == 0 for kind in skipped):
                yield tuple(chosen)
            return
        kind = order[position]
        most = min(left[kind], _room(used, fractions[kind]))
        for taken in range(most, 0 if position == first else -1, -1):
            chosen[kind] = taken
            after = [u + taken * f for u, f in zip(used, fractions[kind], strict=True)]
            rest = [*skipped, kind] if taken < left[kind] else skipped
            yield from extend(position + 1, chosen, after, rest)
        chosen[kind] = 0

    yield from extend(first, [0] * len(left), [0.0] * len(fractions[0]), [])


def _search(wanted: Counts, fractions: Sequence[tuple[float, ...]], nodes: int) -> Packing:
    order = next(_orders(fractions))
    dead: set[tuple[Counts, int]] = set()
    tried = 0

    def fill(left: Counts, free: int) -> list[Counts] | None:
        nonlocal tried
        if not any(left):
            return []
        volume = max(sum(c * f[d] for c, f in zip(left, fractions, strict=True)) for d in range(len(fractions[0])))
        if volume > free * (1 + _TOLERANCE) or (left, free) in dead:
            return None
        for filling in _fillings(left, fractions, order):
            tried += 1
            if tried > _MAX_FILLINGS:
                return None
            rest = fill(tuple(c - taken for c, taken in zip(left, filling, strict=True)), free - 1)
            if rest is not None:
                return [filling, *rest]
        if tried <= _MAX_FILLINGS:
            dead.add((left, free))
        return None

    found = fill(wanted, nodes)
    if found is None:
        return Packing(nodes=None, impossible=tried <= _MAX_FILLINGS)
    return Packing(nodes=tuple(found) + ((0,) * len(wanted),) * (nodes - len(found)))
