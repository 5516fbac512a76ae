"""KEDA for real beside a cluster: its operator and its metrics server as processes, and a stand-in of Prometheus that
says what it is told to."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmos.cluster import gobuild, ports
from llmos.cluster.info import ClusterInfo
from llmos.cluster.node import certificates
from llmos.cluster.record import cluster_folder
from llmos.cluster.versions import GoModule, Program
from llmos.daemons import Daemon, wait_until
from llmos.kube import Kube

__all__ = [
    "ASKED", "PATIENCE_SECONDS", "UNCHANGED_SECONDS", "Prometheus", "answering", "build_keda", "keda", "prometheus",
    "take_away_at_once",
]  # fmt: skip

ASKED = pytest.mark.skipif(
    not {"keda", "all"} & set(os.environ.get("LLMOS_TEST_RELIABILITY", "").split(",")),
    reason="builds KEDA, 25 minutes the first time: LLMOS_TEST_RELIABILITY=keda",
)
PATIENCE_SECONDS = 180
# The autoscaler looks every 15 s, and would have taken replicas away three times by then.
UNCHANGED_SECONDS = 50

_KEDA = GoModule(path="github.com/kedacore/keda/v2", version="v2.21.0")
_READY_SECONDS = 120
_SPACE = "keda"


def _program(name: str, package: str, data: tuple[str, ...] = ()) -> Program:
    return Program(
        name=name, module=_KEDA, package=f"{_KEDA.path}/cmd/{package}", version=_KEDA.version, data_folders=data
    )


def build_keda() -> tuple[Path, Path]:
    """Operator and metrics server, built once on a machine: 25 minutes on two busy cores."""
    wanted = (_program("keda-operator", "operator", ("config/crd/bases",)), _program("keda-adapter", "adapter"))
    go = gobuild.require_go(programs=len(wanted))
    operator, adapter = (gobuild.build(program, go=go, progress=print) for program in wanted)
    return operator, adapter


class Prometheus:
    """Answers queries with the value of the first name that they hold; a name without a value has no data."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.values: dict[str, float | None] = {}

    def answer(self, query: str) -> list[dict[str, object]]:
        value = next((value for name, value in self.values.items() if name in query), None)
        return [] if value is None else [{"metric": {}, "value": [0, str(value)]}]


@contextmanager
def prometheus() -> Iterator[Prometheus]:
    made = Prometheus("")

    def answer(path: str) -> object:
        query = urllib.parse.parse_qs(urllib.parse.urlparse(path).query).get("query", [""])[0]
        return {"status": "success", "data": {"resultType": "vector", "result": made.answer(query)}}

    with answering(answer) as made.url:
        yield made


@contextmanager
def answering(answer: Callable[[str], object]) -> Iterator[str]:
    """URL of a server that answers each path with a JSON document."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def keda(info: ClusterInfo, kube: Kube, folder: Path) -> Iterator[None]:
    """KEDA at work in the cluster, until the block ends."""
    operator, adapter = build_keda()
    kube.run("apply", "--server-side", "-f", str(operator.with_name(f"{operator.name}.data")))
    health, grpc, secure, metrics = ports.choose(4)
    kube.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects(secure)}))
    server, client = _identities(info, folder)
    env = {**os.environ, "KUBECONFIG": str(info.kubeconfig), "WATCH_NAMESPACE": "", "POD_NAMESPACE": _SPACE,
           "KEDA_CLUSTER_OBJECT_NAMESPACE": _SPACE}  # fmt: skip
    access = [f"--{of}-kubeconfig={info.kubeconfig}" for of in ("lister", "authentication", "authorization")]
    commands = {
        "keda-operator": [
            operator, "--enable-prometheus-metrics=false", f"--health-probe-bind-address=127.0.0.1:{health}",
            f"--metrics-service-bind-address=127.0.0.1:{grpc}", f"--cert-dir={server}",
        ],
        "keda-adapter": [
            adapter, f"--secure-port={secure}", "--bind-address=127.0.0.1", f"--port={metrics}", *access,
            f"--tls-cert-file={server}/tls.crt", f"--tls-private-key-file={server}/tls.key", f"--cert-dir={client}",
            f"--metrics-service-address=127.0.0.1:{grpc}",
        ],
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        for name, command in commands.items():
            daemon = Daemon(name=name, command=command, state_dir=folder, env=env)
            daemon.start()
            stack.callback(daemon.stop)
        assert wait_until(lambda: _serves(kube), timeout_seconds=_READY_SECONDS), _logs(folder)
        yield


def take_away_at_once(kube: Kube, namespace: str) -> None:
    """Of the one ScaledObject there replicas go as soon as they are too many: the five minutes before that are the
    HPA's own affair."""
    policies = [{"type": "Pods", "value": 2, "periodSeconds": 15}]
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 1, "policies": policies}}
    change = {"spec": {"advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}}}}
    (scaled,) = kube.get("scaledobjects", "-n", namespace)
    name = scaled["metadata"]["name"]
    kube.run("patch", "scaledobject", name, "-n", namespace, "--type=merge", "-p", json.dumps(change))

    def taken_over() -> bool:
        (hpa,) = kube.get("hpa", "-n", namespace)
        return hpa["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 1

    assert wait_until(taken_over, timeout_seconds=PATIENCE_SECONDS)


def _identities(info: ClusterInfo, folder: Path) -> tuple[Path, Path]:
    """Folders with the certificates of what serves, and of the metrics server as it asks the operator."""
    pki = cluster_folder(info.name) / "pki"
    made = []
    for role, address in (("server", "127.0.0.1"), ("client", None)):
        own = folder / role
        own.mkdir()
        certificates.issue(pki, to=own, name="tls", user="keda-operator", address=address)
        (own / "ca.crt").write_bytes((pki / "ca.crt").read_bytes())
        made.append(own)
    return made[0], made[1]


def _objects(port: int) -> list[dict[str, object]]:
    """Its namespace, and the way of the API server to its metrics server: a Service that is a name."""
    group = "external.metrics.k8s.io"
    service = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    target = {"name": "keda-metrics", "namespace": _SPACE, "port": port}
    spec = {"group": group, "version": "v1beta1", "service": target, "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100, "versionPriority": 100}  # fmt: skip
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _SPACE}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "keda-metrics", "namespace": _SPACE},
         "spec": service},
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"v1beta1.{group}"},
         "spec": spec},
    ]  # fmt: skip


def _serves(kube: Kube) -> bool:
    (found,) = kube.get("apiservices", "v1beta1.external.metrics.k8s.io")
    conditions = {item["type"]: item["status"] for item in found.get("status", {}).get("conditions", [])}
    return conditions.get("Available") == "True"


def _logs(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace")[-1500:] for path in folder.glob("*.log"))
