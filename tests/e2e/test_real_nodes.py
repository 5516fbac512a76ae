"""Several real nodes in one cluster: their pods reach each other, policies hold, and nothing of any stays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from llmos.cluster import embedded
from llmos.cluster.contents import BASE_NODES
from llmos.cluster.info import ClusterInfo
from llmos.daemons import wait_until
from llmos.kube import KubeObject
from tests.e2e.real_node import NAME, apply, cube, layout, phases, pod, refusal, traces

# With the tests of the stack on a real node, which build an image.
pytestmark = pytest.mark.xdist_group("docker")

TWO = f"{NAME}-two"
DNS_PORT = 53
ANSWERED, DROPPED = "connected", "TimeoutError"
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def two(real_cluster: ClusterInfo) -> Iterator[ClusterInfo]:
    """A cluster with two real nodes, side by side with the one that other tests share."""
    if reason := refusal():
        pytest.skip(reason)
    embedded.down(name=TWO)
    try:
        info = embedded.up(name=TWO, nodes=2)
        spread = lambda: {one["spec"].get("nodeName") for one in name_servers(info)} == {"real", "real-2"}  # noqa: E731
        assert wait_until(spread, timeout_seconds=60), "the name service survives the loss of a node"
        assert wait_until(lambda: phases(info, "-n", "kube-system") == {"True"}, timeout_seconds=60)
        yield info
    finally:
        embedded.down(name=TWO)


def name_servers(info: ClusterInfo) -> list[KubeObject]:
    return cube(info).get("pods", "-n", "kube-system", "-l", "k8s-app=kube-dns")


def connect(info: ClusterInfo, client: str, address: str) -> str:
    """What a connection to the name service's port comes to, from within the network of a pod that runs nothing."""
    (found,) = cube(info).get("pods", client, "-n", "default")
    uid = found["metadata"]["uid"]
    inside = next(process.pid for process in psutil.process_iter() if uid in cgroup(process.pid))
    words = ["nsenter", f"--net=/proc/{inside}/ns/net", sys.executable, "-c", CONNECT, address, str(DNS_PORT)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def cgroup(pid: int) -> str:
    file = Path(f"/proc/{pid}/cgroup")
    try:
        return file.read_text(encoding="utf-8").replace("_", "-")
    except OSError:
        return ""


def test_status_names_each(two: ClusterInfo) -> None:
    assert two.real_nodes == ("real", "real-2") and "real, real-2" in str(two)
    status = embedded.status(name=TWO)
    assert status.running and status.real_ready == {"real": True, "real-2": True}
    assert {"kubelet", "kubelet-2", "containerd-2", "kube-proxy-2"} <= {process.name for process in status.processes}
    assert "2 real, the others simulated" in str(status) and "real Ready, real-2 Ready" in str(status)
    zones = {
        node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"]
        for node in cube(two).get("nodes")
    }
    assert zones["real"] != zones["real-2"]


def test_pods_reach_those_of_the_other_node_as_policies_allow(two: ClusterInfo) -> None:
    on = {one["spec"]["nodeName"]: one["status"]["podIP"] for one in name_servers(two)}
    service = layout(TWO).network.dns_address
    wanted = [("first", "real", {}), ("friend", "real-2", {"friend": "yes"}), ("foreign", "real-2", {})]
    apply(two, *(pod(name, labels=labels, nodeName=node) for name, node, labels in wanted))
    assert wait_until(lambda: phases(two, "-n", "default") == {"True"}, timeout_seconds=60)
    assert connect(two, "first", on["real-2"]) == ANSWERED
    for client in ("friend", "foreign"):
        assert connect(two, client, on["real"]) == ANSWERED
        assert connect(two, client, service) == ANSWERED
    # From the machine by the first node to whichever the Service names: seldom the same eight times.
    asked = [subprocess.run([sys.executable, "-c", CONNECT, service, str(DNS_PORT)], capture_output=True, text=True)
             for _ in range(8)]  # fmt: skip
    assert {done.stdout.strip() for done in asked} == {ANSWERED}

    allow = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"friend": "yes"}}}
    apply(two, {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "friends-only", "namespace": "kube-system"},
        "spec": {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}, "ingress": [{"from": [allow]}]},
    })  # fmt: skip
    try:
        held = lambda: connect(two, "foreign", on["real"]) == DROPPED  # noqa: E731
        assert wait_until(held, timeout_seconds=30), "a pod of the other node is known by its own address"
        assert connect(two, "friend", on["real"]) == ANSWERED
        assert connect(two, "first", on["real-2"]) == DROPPED
    finally:
        cube(two).run("delete", "networkpolicy", "friends-only", "-n", "kube-system")


def test_nothing_of_them_stays(two: ClusterInfo, real_cluster: ClusterInfo) -> None:
    first, nodes = traces(layout()), [layout(TWO, number) for number in (1, 2)]
    during = [traces(node) for node in nodes]
    assert all(kind for found in during for kind in found.values()), "what is not found now would not be missed either"
    assert len({node.mark for node in (*nodes, layout())}) == 3 and nodes[0].network != layout().network

    said: list[str] = []
    info = embedded.up(name=TWO, nodes=1, progress=said.append)
    assert said == ["draining node real-2 ..."], "and the first goes on as it is"
    assert info.real_nodes == ("real",) and not any(traces(nodes[1]).values())
    assert {item["metadata"]["name"] for item in cube(info).get("nodes")} == {"real", *BASE_NODES}
    info = embedded.up(name=TWO, real=False)
    assert info.simulated and {item["metadata"]["name"] for item in cube(info).get("nodes")} == {*BASE_NODES}
    assert not any(kind for node in nodes for kind in traces(node).values())
    cube(info).run("delete", "pods", "--all", "-n", "default", "--grace-period=0", "--force")
    apply(info, pod("anything"))
    assert wait_until(lambda: phases(info, "-n", "default") == {"True"}, timeout_seconds=30), "on a simulated node"
    assert embedded.up(name=TWO, nodes=2).real_node

    embedded.down(name=TWO)
    assert not any(kind for node in nodes for kind in traces(node).values()) and not nodes[0].cluster.exists()
    left = [file for found in during for file in found["files"] if Path(file).exists() or Path(file).is_symlink()]
    assert not left
    # What pods add comes and goes with them: the rest is the other cluster's own.
    now = traces(layout())
    for kind in ("interfaces", "rules", "control groups", "processes"):
        assert now[kind] >= first[kind], kind
    assert phases(real_cluster, "-A") == {"True"}
