"""Faults and updates on the real node, under a load that retries nothing: only what a kill has in flight may be lost.

By default the shortest run; LLMOS_TEST_RELIABILITY=1 runs all (half an hour on two cores).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from benchmarks._cluster_world import ClusterWorld, cluster_world
from benchmarks._scenarios import run
from benchmarks.reliability import CLUSTER
from llmos.images import engine, registry
from llmos.images.own_engine import running

_BY_DEFAULT = {"update-configuration", "pod-killed", "container-out-of-memory"}
_ALL = bool(os.environ.get("LLMOS_TEST_RELIABILITY"))
pytestmark = [
    pytest.mark.docker,
    pytest.mark.xdist_group("docker"),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="a real node needs Linux and root"
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[ClusterWorld]:
    """One stack for all scenarios; engine and registry are left as they were found."""
    was_running = running(), registry.find_registry() is not None
    try:
        with cluster_world(cluster="reliability-test") as made:
            yield made
    finally:
        if not was_running[0]:
            engine.stop_engine()
        if not was_running[1]:
            registry.stop_registry()


@pytest.mark.reliability
@pytest.mark.parametrize("name", CLUSTER)
def test_nothing_is_lost_but_what_a_kill_has_in_flight(name: str, request: pytest.FixtureRequest) -> None:
    if name not in _BY_DEFAULT and not _ALL:
        pytest.skip("takes a minute or more: LLMOS_TEST_RELIABILITY=1 runs it")
    world = request.getfixturevalue("world")
    # Below the benchmark's load, because other tests run beside it.
    [row] = run([CLUSTER[name]], world, seed=1, per_second=20, streams=8)
    assert row.problem == "" and row.lost == 0, row
    assert row.requests > 100 and row.streams >= 8
    assert row.lost_in_flight == 0 or name in ("pod-killed", "pod-deleted-at-once", "container-out-of-memory")
