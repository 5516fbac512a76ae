"""Where Karpenter and the scheduler really put a model's pods: off spot, on spot, apart, in zones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmos.cluster.instance_types import ZONES
from llmos.kube import Kube
from tests.e2e.conftest import Llmos, Write

pytestmark = pytest.mark.cluster


def deployed(llmos: Llmos, stack: Write, raw: dict[str, Any]) -> str:
    path: Path = stack(raw)
    done = llmos("up", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 0, done.stderr
    return f"llmagentos-{path.name.split('.')[1]}"


def labels(kube: Kube, space: str, name: str, key: str) -> list[str]:
    """The value of a node label for each pod of a Deployment."""
    found = []
    for pod in kube.get("pods", "-n", space, "-l", f"app.kubernetes.io/name={name}"):
        (node,) = kube.get("node", pod["spec"]["nodeName"])
        found.append(node["metadata"]["labels"][key])
    return sorted(found)


def test_the_floor_stands_on_demand_and_the_rest_on_spot(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube
) -> None:
    small["models"]["chat"]["replicas"] = 3
    small["gpu_pool"] = {"spot": {"on_demand_replicas": 1}}
    space = deployed(llmos, stack, small)
    capacity = "karpenter.sh/capacity-type"
    assert labels(kube, space, "chat", capacity) == ["on-demand"]
    assert labels(kube, space, "chat-spot", capacity) == ["spot", "spot"]
    slices = kube.get("endpointslices", "-n", space, "-l", "kubernetes.io/service-name=chat")
    addresses = {address for item in slices for point in item["endpoints"] for address in point["addresses"]}
    assert len(addresses) == 3, "one Service reaches all of them"


def test_replicas_stand_on_nodes_of_their_own_and_in_as_many_zones_as_demanded(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube
) -> None:
    # One node of four GPUs would hold both.
    small["models"]["chat"] |= {
        "replicas": 2, "hardware": {"instance_type": "g4dn.12xlarge"}, "spread": {"one_per_node": True, "zones": 2},
    }  # fmt: skip
    small["gpu_pool"] = {"zones": list(ZONES[:2]), "max_gpus": 8}
    space = deployed(llmos, stack, small)
    assert labels(kube, space, "chat", "topology.kubernetes.io/zone") == list(ZONES[:2])
    assert len(set(labels(kube, space, "chat", "kubernetes.io/hostname"))) == 2
