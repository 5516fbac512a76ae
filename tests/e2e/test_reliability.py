"""Faults and updates on the real node, under a load that retries nothing: only what a kill has in flight may be lost.

They count requests against time, so they run alone, after everything else: LLMOS_TEST_RELIABILITY names them, separated
by commas, or is `all` (half an hour on two cores). `.ci/run` takes the shortest.
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

_ASKED = {name for name in os.environ.get("LLMOS_TEST_RELIABILITY", "").split(",") if name}
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
    if not _ASKED & {name, "all"}:
        pytest.skip(f"runs alone, when it is asked for: LLMOS_TEST_RELIABILITY={name}")
    world = request.getfixturevalue("world")
    # Below the benchmark's load, and fewer kills: what is lost is the question, not how much the machine can take.
    [row] = run([CLUSTER[name]], world, seed=1, per_second=20, streams=8, kills=4)
    assert row.problem == "" and (row.lost == 0 or not CLUSTER[name].spares), row
    assert row.requests > 100 and row.streams >= 8
    assert row.lost_in_flight == 0 or name in ("pod-killed", "pod-deleted-at-once", "container-out-of-memory")
