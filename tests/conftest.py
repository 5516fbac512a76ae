"""Fixtures that every part of the tests may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import hypothesis
import pytest

from llmos.cluster import embedded
from llmos.cluster.info import ClusterInfo
from llmos.cluster.locks import exclusive
from llmos.console import note

# How long drawing an example takes says something of the machine, and nothing of the law.
hypothesis.settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-machine")

# Windows runs neither the embedded cluster nor a Docker engine of ours; the application runs in Linux containers; and a
# script cannot stand in for a program there.
NOT_ON_WINDOWS = (
    "app/*", "e2e/*", "examples/*", "llmos/cluster/*", "llmos/images/*", "llmos/release/*",
    "llmos/engines/test_pulumi*", "llmos/test_packages.py", "workflows/*",
)  # fmt: skip
collect_ignore_glob = list(NOT_ON_WINDOWS) if sys.platform == "win32" else []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing with them")


# First, because pytest-xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # With `-n N --dist loadgroup` one worker runs all tests of the cluster; otherwise each worker makes its own.
    for item in items:
        if item.get_closest_marker("cluster") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest.fixture(autouse=True)
def no_registry_of_another_test() -> Iterator[None]:
    """A command tells the program by this variable where the local registry runs; here commands share a process."""
    os.environ.pop("LLMOS_REGISTRY", None)
    yield
    os.environ.pop("LLMOS_REGISTRY", None)


@pytest.fixture(scope="session")
def embedded_cluster() -> Iterator[ClusterInfo]:
    """A running embedded cluster, made for this test run and taken down after it.

    Missing programs are downloaded or built, which takes a quarter of an hour the first time on a machine. Each test
    has to work in namespaces, and with cluster-scoped names, of its own.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    name = f"llmos-test-{worker}" if worker else "llmos-test"
    why = "another test run uses the test cluster"
    with exclusive(f"tests-{name}", why=why, progress=note, timeout_seconds=3600):
        # A run that was killed may have left one.
        embedded.down(name=name)
        try:
            yield embedded.up(name=name, real=False)
        finally:
            embedded.down(name=name)
