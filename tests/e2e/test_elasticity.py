"""Nodes come and go with the model servers that need them, and the pool's limit, which is the budget's, holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmos.daemons import wait_until
from llmos.kube import Kube, KubeObject
from tests.e2e.conftest import Llmos, Said, Write

pytestmark = pytest.mark.cluster

PATIENCE_SECONDS = 120
OTHER = "elasticity-other"


def nodes(kube: Kube, pool: str) -> dict[str, KubeObject]:
    return {item["metadata"]["name"]: item for item in kube.get("nodes", "-l", f"karpenter.sh/nodepool={pool}")}


def places(kube: Kube, space: str) -> set[str]:
    """The nodes on which the model's servers run."""
    pods = kube.get("pods", "-n", space, "-l", "app.kubernetes.io/name=chat", "--field-selector=status.phase=Running")
    return {pod["spec"]["nodeName"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


@pytest.fixture
def other_user(kube: Kube) -> Iterator[Any]:
    """Makes a pod that is none of the stack's hold a GPU of a pool."""

    def hold(pool: str) -> None:
        main = {"name": "main", "image": "example.org/main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
        spec = {
            "nodeSelector": {"karpenter.sh/nodepool": pool}, "containers": [main], "terminationGracePeriodSeconds": 0,
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        }  # fmt: skip
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "holder", "namespace": OTHER}, "spec": spec}
        kube.run("create", "-f", "-", stdin=json.dumps(pod))

    kube.run("create", "namespace", OTHER)
    yield hold
    kube.run("delete", "namespace", OTHER)


def test_nodes_follow_the_model_servers_as_far_as_the_budget_goes(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube, other_user: Any
) -> None:
    model = small["models"]["chat"]
    small["budget"] = {"gpus": 2}

    def up(replicas: int, *words: str) -> Said:
        model["replicas"] = replicas
        return llmos("up", "--engine", "kubectl", "--file", str(stack(small)), *words)

    path: Path = stack(small)
    name = path.name.split(".")[1]
    space, pool = f"llmagentos-{name}", f"llmagentos-{name}-gpu"

    done = up(1)
    assert done.returncode == 0, done.stderr
    [first] = nodes(kube, pool).values()
    assert first["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "g6.xlarge"
    (made,) = kube.get("nodepool", pool)
    assert made["spec"]["limits"] == {"nvidia.com/gpu": "2"}, "the budget's, not a replica more for updates"

    other_user(pool)
    assert wait_until(lambda: len(nodes(kube, pool)) == 2, timeout_seconds=PATIENCE_SECONDS)
    done = up(2, "--timeout-minutes", "0.2")
    assert done.returncode == 2 and "1 of 2 replicas are available" in done.stderr, done.stderr
    limit = f"exceed limits for nodepool (NodePool={pool})"
    assert "no further node: " in done.stderr and limit in done.stderr, done.stderr
    assert "raise `gpu_pool.max_gpus` within `budget.gpus`" in done.stderr
    waiting, warnings = llmos("status", "--file", str(path)).stdout.split("Last warnings:")
    assert "waiting for a node (Failed to schedule pod" in waiting and limit in warnings
    assert len(nodes(kube, pool)) == 2

    kube.run("delete", "pod", "holder", "-n", OTHER)
    done = up(2)
    assert done.returncode == 0, done.stderr
    assert places(kube, space) == set(nodes(kube, pool)) and len(nodes(kube, pool)) == 2

    done = up(1)
    assert done.returncode == 0, done.stderr
    assert wait_until(lambda: len(nodes(kube, pool)) == 1, timeout_seconds=PATIENCE_SECONDS)
    assert places(kube, space) == set(nodes(kube, pool)), "the empty one went"
    assert len(kube.get("nodeclaims", "-l", f"karpenter.sh/nodepool={pool}")) == 1
