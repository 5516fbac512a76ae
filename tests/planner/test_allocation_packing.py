"""Packing against every possible assignment, and the rows that describe it to the relaxation."""

from __future__ import annotations

import math
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.allocation.cuts import packing_rows
from planner.allocation.packing import pack

SIZES = st.tuples(st.integers(0, 6), st.integers(1, 6))


def fits_somehow(capacity: tuple[int, int], pods: list[tuple[int, int]], nodes: int) -> bool:
    """Every assignment of pods to nodes, tried."""
    return any(
        all(
            sum(pod[d] for pod, where in zip(pods, assignment, strict=True) if where == node) <= capacity[d]
            for node in range(nodes)
            for d in (0, 1)
        )
        for assignment in product(range(nodes), repeat=len(pods))
    )


@settings(deadline=None, max_examples=150)
@given(kinds=st.lists(st.tuples(SIZES, st.integers(0, 2)), min_size=1, max_size=3), nodes=st.integers(1, 3))
def test_pack_agrees_with_trying_everything(kinds: list[tuple[tuple[int, int], int]], nodes: int) -> None:
    capacity = (6, 7)
    sizes, counts = [size for size, _ in kinds], [count for _, count in kinds]
    pods = [size for size, count in kinds for _ in range(count)]
    packing = pack(capacity=capacity, sizes=sizes, counts=counts, nodes=nodes)
    assert (packing.nodes is not None) == fits_somehow(capacity, pods, nodes)
    assert packing.impossible == (packing.nodes is None)
    if packing.nodes is not None:
        assert len(packing.nodes) == nodes
        assert [sum(node[kind] for node in packing.nodes) for kind in range(len(kinds))] == counts
        for node in packing.nodes:
            used = [sum(count * size[d] for count, size in zip(node, sizes, strict=True)) for d in (0, 1)]
            assert all(u <= c for u, c in zip(used, capacity, strict=True))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.data())
def test_no_row_excludes_a_node_that_fits(sizes: list[int], data: st.DataObject) -> None:
    capacity = 12
    node = [data.draw(st.integers(0, capacity // size)) for size in sizes]
    if sum(count * size for count, size in zip(node, sizes, strict=True)) > capacity:
        return
    for row in packing_rows([size / capacity for size in sizes]):
        assert math.fsum(a * count for a, count in zip(row, node, strict=True)) <= 1 + 1e-9


def test_rows_know_that_large_pods_do_not_share_a_node() -> None:
    assert (1.0, 0.0) in set(packing_rows([5 / 8, 2 / 8]))


def test_many_pods_on_many_nodes_need_no_search() -> None:
    packing = pack(capacity=[8.0, 100.0], sizes=[[1.0, 7.0], [2.0, 9.0]], counts=[400, 300], nodes=140)
    assert packing.nodes is not None


def test_a_question_too_large_to_settle_stays_open() -> None:
    # 151 nodes of 2, 302 pods of a bit less than 1 and one more: impossible, and more nodes than are searched.
    packing = pack(capacity=[2.0], sizes=[[0.95]], counts=[303], nodes=151)
    assert (packing.nodes, packing.impossible) == (None, False)
