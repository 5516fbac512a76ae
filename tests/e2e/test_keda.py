"""A model server's ScaledObject under KEDA itself: more replicas, and GPU nodes, by its queue; fewer without one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmos.cluster import embedded
from llmos.cluster.info import ClusterInfo
from llmos.daemons import wait_until
from llmos.kube import Kube
from tests.e2e.conftest import Write, command_line
from tests.e2e.keda import (
    ASKED,
    PATIENCE_SECONDS,
    UNCHANGED_SECONDS,
    Prometheus,
    keda,
    prometheus,
    take_away_at_once,
)

CLUSTER = "keda-test"
pytestmark = [pytest.mark.cluster, ASKED]

WAITING, CACHE = "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterInfo]:
    """One of its own, because KEDA's definitions and its API are the whole cluster's."""
    try:
        yield embedded.up(name=CLUSTER, real=False)
    finally:
        embedded.down(name=CLUSTER)


@pytest.fixture(scope="module")
def kube(cluster: ClusterInfo) -> Kube:
    return Kube(kubectl=cluster.kubectl, kubeconfig=cluster.kubeconfig, context=cluster.context)


@pytest.fixture(scope="module")
def source(cluster: ClusterInfo, kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus() as source, keda(cluster, kube, tmp_path_factory.mktemp("keda")):
        yield source


@pytest.fixture
def llmos(cluster: ClusterInfo, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    return command_line


def test_a_queue_brings_replicas_and_nodes_and_lost_metrics_take_none_away(
    source: Prometheus, cluster: ClusterInfo, llmos: Callable[..., Any], stack: Write, small: dict[str, Any], kube: Kube
) -> None:
    source.values = {WAITING: 0, CACHE: 0.1}
    own = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "owned"}
    node_class = {"apiVersion": f"{own['group']}/v1alpha1", "kind": own["kind"], "metadata": {"name": own["name"]}}
    kube.run("apply", "-f", "-", stdin=json.dumps(node_class))
    # As for a cluster of somebody's: the embedded one has no KEDA, and its stacks may not ask for it.
    small |= {
        "target": "kubernetes", "environment": "dev", "context": cluster.context,
        "gpu_pool": {"kind": "karpenter", "max_gpus": 4, "node_class": own},
        "observability": {"prometheus_url": source.url, "scrape": {"namespace": "keda"}},
    }  # fmt: skip
    small["models"]["chat"] |= {"replicas": {"min": 1, "max": 3}, "autoscaling": "keda"}
    small["applications"]["web"]["endpoint"] = {"type": "ClusterIP"}
    path: Path = stack(small)
    done = llmos("up", "--yes", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 0, done.stderr
    space = f"llmagentos-{path.name.split('.')[1]}"

    def conditions() -> dict[str, str]:
        (found,) = kube.get("scaledobjects", "-n", space)
        return {item["type"]: item["status"] for item in found.get("status", {}).get("conditions", [])}

    def counts() -> tuple[int, int]:
        (deployment,) = kube.get("deployments", "chat", "-n", space)
        return deployment["spec"]["replicas"], deployment["status"].get("availableReplicas", 0)

    def become(count: int) -> bool:
        return wait_until(lambda: counts() == (count, count), timeout_seconds=PATIENCE_SECONDS)

    assert wait_until(lambda: conditions().get("Ready") == "True", timeout_seconds=PATIENCE_SECONDS), conditions()
    assert wait_until(lambda: bool(kube.get("hpa", "chat", "-n", space)), timeout_seconds=PATIENCE_SECONDS)
    assert counts() == (1, 1)

    source.values[WAITING] = 40
    assert become(3), counts()
    assert len(kube.get("nodes", "-l", f"karpenter.sh/nodepool={space}-gpu")) == 3

    take_away_at_once(kube, space)

    # No data is an error and not a zero: what runs goes on.
    source.values = {}
    assert wait_until(lambda: conditions().get("Fallback") == "True", timeout_seconds=PATIENCE_SECONDS), conditions()
    assert not wait_until(lambda: counts() != (3, 3), timeout_seconds=UNCHANGED_SECONDS), counts()

    source.values = {WAITING: 0, CACHE: 0.1}
    assert become(1), counts()
    assert conditions().get("Fallback") == "False"
