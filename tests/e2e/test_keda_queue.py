"""An application under KEDA itself: real replicas, whose queue a real Prometheus collects, follow their callers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks._balancer import Balancer
from benchmarks._cluster_stack import APPLICATION, STACK, first_stack
from benchmarks._cluster_world import ClusterWorld
from benchmarks._load import Load
from llmos.cluster import embedded, ports
from llmos.cluster.info import ClusterInfo
from llmos.daemons import Daemon, wait_until
from llmos.images.build import build
from llmos.images.registry_client import DIRECT
from llmos.kube import Kube
from llmos.paths import PROJECT_ROOT
from tests.e2e.keda import ASKED, PATIENCE_SECONDS, UNCHANGED_SECONDS, answering, keda, take_away_at_once
from tests.e2e.real_node import cube, refusal

CLUSTER, SPACE = "keda-queue", f"llmagentos-{STACK}"
pytestmark = [
    pytest.mark.cluster, pytest.mark.docker, ASKED,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's package prometheus"),
]  # fmt: skip

MOST = 3
# Four at a time of twenty callers: sixteen wait, far from what the queue takes.
ENV = {"MAX_CONCURRENT": "4", "QUEUE_SECONDS": "60"}
REPLICAS = {"min": 1, "max": MOST, "cpu_percent": 95, "queue": {"per_replica": 2}}


@dataclass
class Collector:
    """A Prometheus that can be stopped and started again."""

    url: str
    daemon: Daemon

    def start(self) -> None:
        self.daemon.start()
        self.daemon.wait_ready(self._answers, timeout_seconds=60)

    def _answers(self) -> bool:
        with suppress(OSError), DIRECT.open(f"{self.url}/-/ready", timeout=5) as answer:
            return answer.status == 200
        return False


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterInfo]:
    """One of its own, because KEDA's definitions and its API are the whole cluster's."""
    if reason := refusal():
        pytest.skip(reason)
    try:
        yield embedded.up(name=CLUSTER, real=True)
    finally:
        embedded.down(name=CLUSTER)


def targets(kube: Kube) -> list[dict[str, Any]]:
    """The pods of Services with ``prometheus.io`` annotations, as Prometheus' own example configuration finds them.
    (Debian's Prometheus is built without the discovery of Kubernetes, and asks for such a list.)"""
    found = []
    for service in kube.get("services", "-n", SPACE):
        notes = service["metadata"].get("annotations", {})
        if notes.get("prometheus.io/scrape") != "true":
            continue
        labels = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
        for pod in kube.get("pods", "-n", SPACE, "-l", labels):
            if address := pod["status"].get("podIP"):
                found.append({
                    "targets": [f"{address}:{notes['prometheus.io/port']}"],
                    "labels": {"namespace": SPACE, "pod": pod["metadata"]["name"],
                               "__metrics_path__": notes["prometheus.io/path"]},
                })  # fmt: skip
    return found


@pytest.fixture
def collector(cluster: ClusterInfo, tmp_path: Path) -> Iterator[Collector]:
    (port,) = ports.choose(1)
    with answering(lambda _: targets(cube(cluster))) as url:
        discovery = {"url": url, "refresh_interval": "2s"}
        configuration = {
            "global": {"scrape_interval": "2s"},
            "scrape_configs": [{"job_name": "pods", "http_sd_configs": [discovery]}],
        }
        file = tmp_path / "prometheus.yaml"
        file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        command = ["prometheus", f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}",
                   f"--storage.tsdb.path={tmp_path / 'data'}"]  # fmt: skip
        daemon = Daemon(name="prometheus", command=command, state_dir=tmp_path)
        collector = Collector(f"http://127.0.0.1:{port}", daemon)
        collector.start()
        try:
            yield collector
        finally:
            daemon.stop()


def stack(image: str, *, context: str, prometheus_url: str) -> dict[str, Any]:
    """As for a cluster of somebody's: the embedded one has no KEDA, and its stacks may not ask for it."""
    raw = first_stack(image)
    raw["applications"][APPLICATION] |= {"replicas": REPLICAS, "env": ENV, "endpoint": {"type": "ClusterIP"}}
    scrape = {"by": "service-annotations", "namespace": "keda"}
    return raw | {
        "target": "kubernetes", "environment": "dev", "context": context,
        "observability": {"prometheus_url": prometheus_url, "scrape": scrape},
    }  # fmt: skip


@contextmanager
def deployed(cluster: ClusterInfo, collector: Collector, folder: Path) -> Iterator[ClusterWorld]:
    image = build(context=PROJECT_ROOT / "app", repository=STACK).ref
    with Balancer() as balancer:
        world = ClusterWorld(info=cluster, folder=folder, images={"first": image}, balancer=balancer)
        world.must_up(stack(image, context=cluster.context, prometheus_url=collector.url))
        world.find_entry()
        yield world


def test_callers_that_wait_bring_replicas_and_a_queue_that_nobody_reads_takes_none_away(
    cluster: ClusterInfo, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    kube = cube(cluster)

    def counts() -> tuple[int, int]:
        (deployment,) = kube.get("deployment", APPLICATION, "-n", SPACE)
        return deployment["spec"]["replicas"], deployment["status"].get("availableReplicas", 0)

    def become(count: int) -> bool:
        return wait_until(lambda: counts() == (count, count), timeout_seconds=PATIENCE_SECONDS)

    def hpa() -> dict[str, Any]:
        (found,) = kube.get("hpa", APPLICATION, "-n", SPACE)
        return found

    with keda(cluster, kube, tmp_path), deployed(cluster, collector, tmp_path) as world:
        assert wait_until(lambda: bool(kube.get("hpa", "-n", SPACE)), timeout_seconds=PATIENCE_SECONDS)
        assert counts() == (1, 1)
        take_away_at_once(kube, SPACE)

        with Load(url=world.url, key=world.key, per_second=1, streams=20, reconnect=True) as load:
            assert become(MOST), (counts(), hpa()["status"])
            measured = {item["type"]: item for item in hpa()["status"]["currentMetrics"] if item.get("type")}
            seen = load.stop()
        assert seen.lost == 0, seen.problems
        # Not for their processors: those of a program that waits are idle.
        assert measured["Resource"]["resource"]["current"]["averageUtilization"] < REPLICAS["cpu_percent"]

        collector.daemon.stop()
        assert not wait_until(lambda: counts() != (MOST, MOST), timeout_seconds=UNCHANGED_SECONDS), counts()

        collector.start()
        assert become(1), (counts(), hpa()["status"])
