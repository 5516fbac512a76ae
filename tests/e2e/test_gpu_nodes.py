"""GPU nodes of the embedded cluster: which are made for pods, how many, and when they go."""

from __future__ import annotations

import pytest

from llmos.daemons import wait_until
from planner.catalogue import load
from tests.e2e.workloads import NAME_LABEL, Kubectl, deployment, kubectl, namespace

__all__ = ["kubectl", "namespace"]

pytestmark = pytest.mark.cluster

PATIENCE_SECONDS = 120


def gpu_pool(name: str, *, max_gpus: int) -> list[dict]:
    requirements = [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]
    node_class = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": name}
    template = {
        "requirements": requirements,
        "nodeClassRef": node_class,
        "taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
        "expireAfter": "Never",
    }
    spec = {
        "template": {"spec": template},
        "limits": {"nvidia.com/gpu": str(max_gpus)},
        "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "1s"},
    }
    return [
        {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": name}},
        {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec},
    ]


def cheapest(*, gpus: int, memory_gib: float) -> str:
    fitting = [
        entry
        for entry in load().instances.values()
        if entry.supported
        and entry.usd_per_hour is not None
        and entry.gpus >= gpus
        and entry.architecture == "amd64"
        and entry.memory_gib * (1 - 0.075) > memory_gib
    ]
    return min(fitting, key=lambda entry: entry.usd_per_hour or 0).name


def refused(kubectl: Kubectl, namespace: str) -> bool:
    """Whether Karpenter refused nodes for every pod that is Pending, of which there is one."""
    pending = kubectl.get("pods", "-n", namespace, "--field-selector", "status.phase=Pending")
    events = kubectl.get("events", "-n", namespace, "--field-selector", "reason=FailedScheduling")
    said = {event["involvedObject"]["name"] for event in events if event["source"].get("component") == "karpenter"}
    return len(pending) == 1 and pending[0]["metadata"]["name"] in said


def test_gpu_pods_get_the_cheapest_node_that_fits_within_the_limit_and_give_it_back(
    kubectl: Kubectl, namespace: str
) -> None:
    pool = "e2e-gpu"
    kubectl.apply(*gpu_pool(pool, max_gpus=2))
    # On one node together Karpenter would buy them the cheapest machine with two GPUs, which costs far more.
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {NAME_LABEL: "model"}}}
    pod = {
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        # More memory than the smallest GPU machine has, so that the cheapest is not also the cheapest that fits.
        "resources": {"requests": {"memory": "20Gi"}, "limits": {"nvidia.com/gpu": "1"}},
    }
    kubectl.apply(deployment("model", namespace, replicas=2, **pod))
    kubectl("-n", namespace, "wait", "--for=condition=Available", f"--timeout={PATIENCE_SECONDS}s", "deployment/model")

    nodes = kubectl.get("nodes", "-l", f"karpenter.sh/nodepool={pool}")
    expected = cheapest(gpus=1, memory_gib=20)
    assert expected != cheapest(gpus=1, memory_gib=0)
    assert [node["metadata"]["labels"]["node.kubernetes.io/instance-type"] for node in nodes] == [expected] * 2
    assert all(node["metadata"]["labels"]["llmagentos.dev/simulated"] == "true" for node in nodes)

    # The pool's limit is two GPUs: a third replica has to wait, and Karpenter says so.
    kubectl("-n", namespace, "scale", "deployment/model", "--replicas=3")
    assert wait_until(lambda: refused(kubectl, namespace), timeout_seconds=PATIENCE_SECONDS)
    assert len(kubectl.get("nodes", "-l", f"karpenter.sh/nodepool={pool}")) == 2

    kubectl("-n", namespace, "delete", "deployment", "model")
    gone = ["nodes", "-l", f"karpenter.sh/nodepool={pool}"]
    assert wait_until(lambda: not kubectl.get(*gone), timeout_seconds=PATIENCE_SECONDS)
    kubectl("delete", "nodepool,kwoknodeclass", pool, f"--timeout={PATIENCE_SECONDS}s")
    assert not kubectl.get("nodeclaims")
