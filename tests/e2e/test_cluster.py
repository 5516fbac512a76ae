"""The embedded cluster for real: etcd, API server, controllers, kwok and Karpenter as processes of this machine."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from llmos.cluster import embedded
from llmos.cluster.info import ClusterInfo
from llmos.cluster.processes import COMPONENTS, states
from llmos.cluster.record import Record, cluster_folder
from llmos.daemons import wait_until
from tests.e2e.workloads import NAME_LABEL, Kubectl, deployment, kubectl, namespace, pod_spec

__all__ = ["kubectl", "namespace"]

pytestmark = pytest.mark.cluster

# Everything here takes a few seconds on an idle machine; the limits allow for a busy one.
PATIENCE_SECONDS = 120


def test_a_second_up_finds_everything_running_and_says_nothing(embedded_cluster: ClusterInfo) -> None:
    folder = cluster_folder(embedded_cluster.name)
    before = {state.name: state.pid for state in states(folder)}
    said: list[str] = []
    assert embedded.up(name=embedded_cluster.name, progress=said.append) == embedded_cluster
    assert said == []
    assert {state.name: state.pid for state in states(folder)} == before

    status = embedded.status(name=embedded_cluster.name)
    assert status.running and status.nodes_ready == status.nodes >= 3
    assert [process.name for process in status.processes] == list(COMPONENTS)


def test_nobody_but_the_holder_of_the_kubeconfig_gets_in(embedded_cluster: ClusterInfo) -> None:
    assert cluster_folder(embedded_cluster.name).stat().st_mode & 0o077 == 0
    trusted = ssl.create_default_context(cafile=cluster_folder(embedded_cluster.name) / "pki" / "ca.crt")
    server = http.client.HTTPSConnection(embedded_cluster.api_url.removeprefix("https://"), context=trusted, timeout=30)
    server.request("GET", "/version")
    assert server.getresponse().status == 401
    server.close()
    for connection in listening(embedded_cluster.name):
        assert connection.laddr.ip == "127.0.0.1" or "karpenter" in psutil.Process(connection.pid).cmdline()[0]


def test_ordinary_workloads_run_their_course(kubectl: Kubectl, namespace: str) -> None:
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": namespace},
        "spec": {"template": {"spec": pod_spec(restartPolicy="Never")}},
    }
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "front", "namespace": namespace},
        "spec": {"type": "LoadBalancer", "selector": {NAME_LABEL: "web"}, "ports": [{"port": 80}]},
    }
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    spread = {
        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {NAME_LABEL: "web"}},
    }
    kubectl.apply(
        job, service, claim, deployment("web", namespace, replicas=3, topologySpreadConstraints=[spread])
    )
    wait = ["-n", namespace, "wait", f"--timeout={PATIENCE_SECONDS}s"]
    kubectl(*wait, "--for=condition=Available", "deployment/web")
    kubectl(*wait, "--for=condition=Complete", "job/once")
    kubectl(*wait, "--for=jsonpath={.status.loadBalancer.ingress}", "service/front")
    kubectl(*wait, "--for=jsonpath={.status.phase}=Bound", "pvc/data")
    (front,) = kubectl.get("services", "-n", namespace)
    assert front["status"]["loadBalancer"]["ingress"][0]["ip"] == front["spec"]["clusterIP"]
    pods = kubectl.get("pods", "-n", namespace, "-l", f"{NAME_LABEL}=web")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"simulated-a", "simulated-b", "simulated-c"}

    kubectl("-n", namespace, "delete", "service,deployment,pvc", "--all", f"--timeout={PATIENCE_SECONDS}s")
    assert wait_until(lambda: not kubectl.get("persistentvolumes"), timeout_seconds=PATIENCE_SECONDS)
    kubectl("create", "namespace", f"{namespace}-2")
    kubectl("delete", "namespace", f"{namespace}-2", f"--timeout={PATIENCE_SECONDS}s")


def test_the_restricted_pod_security_standard_is_enforced(kubectl: Kubectl, namespace: str) -> None:
    bad = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad", "namespace": namespace}, "spec": pod_spec()}
    del bad["spec"]["securityContext"]
    with pytest.raises(Exception, match='violates PodSecurity "restricted'):
        kubectl.apply(bad)


@pytest.mark.parametrize("component", [*COMPONENTS, "all"])
def test_what_was_killed_is_started_again_and_the_data_is_kept(
    embedded_cluster: ClusterInfo, kubectl: Kubectl, component: str
) -> None:
    folder = cluster_folder(embedded_cluster.name)
    kept = f"kept-{component}"
    kubectl("create", "configmap", kept)
    killed = {state.name: state.pid for state in states(folder) if component in (state.name, "all")}
    for pid in killed.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not embedded.status(name=embedded_cluster.name).running, timeout_seconds=10)

    assert embedded.up(name=embedded_cluster.name) == embedded_cluster
    after = {state.name: state.pid for state in states(folder)}
    assert all(after.values())
    assert all(after[name] != pid for name, pid in killed.items())
    kubectl("delete", "configmap", kept)


def listening(name: str) -> list[psutil._common.sconn]:
    pids = {state.pid for state in states(cluster_folder(name)) if state.running}
    found = psutil.net_connections(kind="tcp")
    return [connection for connection in found if connection.pid in pids and connection.status == psutil.CONN_LISTEN]


def test_two_clusters_run_side_by_side_and_down_leaves_nothing(embedded_cluster: ClusterInfo) -> None:
    name = f"{embedded_cluster.name}-second"
    own = Record.read(embedded_cluster.name)
    assert own is not None
    # As if an earlier command had been killed while it created the cluster.
    Record.new(name, binaries=own.binaries, progress=print)
    (cluster_folder(name) / "kwok.yaml").write_text("half a file", encoding="utf-8")
    said: list[str] = []
    try:
        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(embedded.up, name=name, real=False, progress=said.append) for _ in range(2)]
            second, again = (each.result() for each in runs)
        assert again == second
        assert sorted(said) == [
            f"another command is working on cluster `{name}`: waiting for it", f"creating cluster `{name}` ...",
        ]
        assert second.api_url != embedded_cluster.api_url
        ports = [{connection.laddr.port for connection in listening(each)} for each in (name, embedded_cluster.name)]
        assert len(ports[0]) >= 8 and not ports[0] & ports[1]
        record = Record.read(name)
        assert record is not None and record.binaries.complete()
        Kubectl(second)("create", "namespace", "only-here")
        assert not any(item["metadata"]["name"] == "only-here" for item in Kubectl(embedded_cluster).get("namespaces"))
        pids = [state.pid for state in states(cluster_folder(name))]
    finally:
        assert embedded.down(name=name)

    assert not cluster_folder(name).exists()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid is not None)
    for port in ports[0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    assert record.binaries.complete()
    assert not Path(cluster_folder(name).parent.parent / "locks" / f"cluster-{name}.lock").exists()
    assert embedded.down(name=name) is False
    assert embedded.status(name=embedded_cluster.name).running


def test_a_warm_up_takes_a_moment(embedded_cluster: ClusterInfo) -> None:
    durations = []
    for _ in range(3):
        started = time.monotonic()
        embedded.up(name=embedded_cluster.name)
        durations.append(time.monotonic() - started)
    # Measured: 0.2 s; the bound allows for a machine that is busy with other tests.
    assert min(durations) < 5
