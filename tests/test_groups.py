"""Tests of one cluster or engine run on one worker: on two they would take it from each other."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="without workers there are no groups")


@pytest.mark.cluster
def test_tests_of_the_cluster_are_a_group(request: pytest.FixtureRequest) -> None:
    assert request.node.nodeid.endswith("@cluster")


@pytest.mark.xdist_group("docker")
def test_a_stated_group_is_kept(request: pytest.FixtureRequest) -> None:
    assert request.node.nodeid.endswith("@docker")
