"""What happens to a node that carries a part of the stack, under load: it is drained, or its kubelet goes away."""

from __future__ import annotations

import signal
import time

from benchmarks._cluster_world import APPLICATION, MODEL, ClusterWorld
from benchmarks._replicas import wait_for
from benchmarks._scenarios import Context, Registry
from llmos.kube import KubeObject

__all__ = ["NODES"]

NODES = Registry()
_DRAIN_SECONDS = 240.0
_SPREAD_SECONDS = 180.0
# The controller manager waits 50 s for a kubelet that says nothing (40 s in clusters before Kubernetes 1.32).
_UNKNOWN_SECONDS = 90.0
_AWAY_SECONDS = 15.0
_SEEN_SECONDS = 60.0


@NODES.scenario("node-drained", "one of two real nodes is drained to the end, and taken into use again")
def _drained(context: Context) -> None:
    world: ClusterWorld = context.world
    _spread(world)
    node = context.random.choice(world.info.real_nodes)
    words = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={_DRAIN_SECONDS:g}s")
    try:
        done = world.kube.run(*words, check=False)
        assert done.returncode == 0, f"the drain came to no end: {done.stderr[-500:]}"
        left = [pod["metadata"]["name"] for pod in _pods(world) if pod["spec"].get("nodeName") == node]
        assert not left, f"the drain left {', '.join(left)} on node {node}"
        wait_for(world.whole, "the other node carries all of it", seconds=_SPREAD_SECONDS)
    finally:
        world.kube.run("uncordon", node)
    _spread(world)


@NODES.scenario("kubelet-stopped", "the kubelet of one of two real nodes is away until its node counts as lost")
def _kubelet(context: Context) -> None:
    world: ClusterWorld = context.world
    _spread(world)
    node = context.random.choice(world.info.real_nodes)
    process = world.component("kubelet" + node.removeprefix(world.info.real_nodes[0]))
    process.send_signal(signal.SIGKILL)
    process.wait(_SEEN_SECONDS)
    try:
        wait_for(lambda: not _is_ready(world, node), f"node {node} is not Ready", seconds=_UNKNOWN_SECONDS)
        wait_for(lambda: node not in _serving_nodes(world), f"no endpoint is on node {node}", seconds=_SEEN_SECONDS)
        assert _serving_nodes(world), "the other node serves"
        time.sleep(_AWAY_SECONDS)  # the load goes on meanwhile, to the other node
        assert node not in _serving_nodes(world) and _serving_nodes(world)
    finally:
        world.heal()
    wait_for(lambda: _is_ready(world, node), f"node {node} is Ready again", seconds=_SEEN_SECONDS)
    wait_for(lambda: node in _serving_nodes(world), f"endpoints are on node {node} again", seconds=_SEEN_SECONDS)


def _pods(world: ClusterWorld) -> list[KubeObject]:
    return [*world.pods(APPLICATION), *world.pods(MODEL)]


def _spread(world: ClusterWorld) -> None:
    """Have each node carry a part of everything: one pod of what is on one node alone goes, and the scheduler puts its
    successor on the emptier node."""
    for name in (APPLICATION, MODEL):
        pods = world.pods(name)
        if len({pod["spec"].get("nodeName") for pod in pods}) < len(world.info.real_nodes):
            world.kube.run("delete", "pod", pods[0]["metadata"]["name"], "-n", world.namespace, "--wait=false")
            wait_for(lambda: _on_all(world, name), f"{name} is on every node", seconds=_SPREAD_SECONDS)  # noqa: B023


def _on_all(world: ClusterWorld, name: str) -> bool:
    return world.whole() and {pod["spec"].get("nodeName") for pod in world.pods(name)} == {*world.info.real_nodes}


def _is_ready(world: ClusterWorld, node: str) -> bool:
    (found,) = world.kube.get("node", node)
    return any(each["type"] == "Ready" and each["status"] == "True" for each in found["status"]["conditions"])


def _serving_nodes(world: ClusterWorld) -> set[str]:
    """Nodes of the endpoints that the Service sends requests to."""
    label = f"kubernetes.io/service-name={APPLICATION}"
    slices = world.kube.get("endpointslices", "-n", world.namespace, "-l", label)
    endpoints = [endpoint for each in slices for endpoint in each.get("endpoints") or ()]
    return {endpoint["nodeName"] for endpoint in endpoints if endpoint["conditions"].get("ready")}
