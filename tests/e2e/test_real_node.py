"""The real node of the embedded cluster: it joins beside simulated ones, comes back, and leaves nothing behind."""

from __future__ import annotations

import json

import pytest

from llmos.cluster import embedded, real_node
from llmos.cluster.contents import BASE_NODES
from llmos.cluster.info import ClusterInfo
from llmos.cluster.node import removal
from llmos.cluster.node.layout import NODE_NAME
from llmos.cluster.processes import NODE_COMPONENTS
from llmos.daemons import wait_until
from tests.e2e.conftest import command_line
from tests.e2e.real_node import NAME, PAUSE, apply, cube, layout, phases, pod, reboot, traces

# With the tests of its stack, which build an image.
pytestmark = pytest.mark.xdist_group("docker")

def test_the_node_joins_beside_simulated_ones(real_cluster: ClusterInfo) -> None:
    nodes = {node["metadata"]["name"]: node for node in cube(real_cluster).get("nodes")}
    assert nodes.keys() == {NODE_NAME, *BASE_NODES}
    real = nodes[NODE_NAME]
    assert "kwok" not in json.dumps(real), "nobody plays a node that is there"
    assert int(real["status"]["allocatable"]["cpu"]) >= 16, "room for rolling updates on a small machine"
    assert real_cluster.real_node and not real_cluster.simulated
    status = embedded.status(name=NAME)
    assert status.running and status.nodes_ready == 4
    assert {process.name for process in status.processes} >= set(NODE_COMPONENTS)
    assert "one real, the others simulated" in str(status)


def test_the_clusters_own_pods_run(real_cluster: ClusterInfo) -> None:
    assert wait_until(lambda: phases(real_cluster, "-n", "kube-system") == {"True"}, timeout_seconds=60)
    used = lambda: cube(real_cluster).run("top", "node", NODE_NAME, check=False).returncode == 0  # noqa: E731
    assert wait_until(used, timeout_seconds=60), "metrics for autoscalers"


def test_a_volume_is_the_pods_to_write_to(real_cluster: ClusterInfo) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "kept", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }  # fmt: skip
    mounted = {**PAUSE, "volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
    volume = {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}
    apply(real_cluster, claim, pod("writer", containers=[mounted], volumes=[volume], securityContext={"fsGroup": 4321}))
    assert wait_until(lambda: phases(real_cluster, "-n", "default") == {"True"}, timeout_seconds=60)
    (folder,) = layout().volumes.iterdir()
    assert folder.stat().st_gid == 4321 and folder.stat().st_mode & 0o020


@pytest.mark.parametrize("fault", ["killed", "rebooted"])
def test_up_heals_a_node(real_cluster: ClusterInfo, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    node = layout()
    (volume,) = node.volumes.iterdir()
    (volume / fault).write_text("kept", encoding="utf-8")
    before = {process.name: process.pid for process in real_node.processes(NAME)}
    if fault == "killed":
        removal.kill(*(pid for pid in before.values() if pid))
    else:
        reboot(node)
        left = traces(node)
        assert left.pop("files") and not any(left.values())
    status = embedded.status(name=NAME)
    assert not status.running and f"{', '.join(NODE_COMPONENTS)} stopped)" in str(status)
    monkeypatch.setenv("LLMOS_CLUSTER", NAME)
    assert "kubelet, kube-proxy, kube-network-policies stopped" in command_line("doctor").stdout
    said: list[str] = []
    assert embedded.up(name=NAME, progress=said.append) == real_cluster
    assert "starting the real node ..." in said
    after = {process.name: process.pid for process in real_node.processes(NAME)}
    assert None not in after.values() and not set(before.values()) & set(after.values())
    assert wait_until(lambda: phases(real_cluster, "-A") == {"True"}, timeout_seconds=90)
    assert (volume / fault).read_text(encoding="utf-8") == "kept"
