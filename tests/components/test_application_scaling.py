"""Scaling of applications: on CPU by an HPA, and on their queue as well by KEDA."""

from __future__ import annotations

import re
from typing import Any

import pytest

from planner.faults import UserFault
from planner.settings import parse
from tests.components.serving import objects, served
from tests.support import synthesised

URL = "http://prometheus.monitoring:9090"
PROMETHEUS = {"observability": {"prometheus_url": URL}}
RANGE: dict[str, Any] = {"min": 2, "max": 6}


def queued(scrape: str = "", canary: bool = False, **queue: Any) -> dict[str, Any]:
    """Changes of ``served`` for an application with a queue."""
    application = {"replicas": {**RANGE, "queue": queue}, **({"canary": {}} if canary else {})}
    more = {"scrape": {"by": scrape}} if scrape else {}
    return {"application": application, "stack": {"observability": {"prometheus_url": URL, **more}}}


def scaled(**queue: Any) -> dict[str, Any]:
    return objects(**queued(**queue))["ScaledObject", "app"]["spec"]


def faults_of(raw: dict[str, Any]) -> str:
    with pytest.raises(UserFault) as caught:
        parse(raw, where="f")
    return "\n".join(map(str, caught.value.faults))


def test_without_a_queue_a_plain_hpa_needs_no_keda() -> None:
    made = objects(application={"replicas": RANGE}, stack=PROMETHEUS)
    assert ("HorizontalPodAutoscaler", "app") in made and ("ScaledObject", "app") not in made


def test_the_queue_is_asked_beside_the_processor() -> None:
    made = objects(**queued(per_replica=8))
    assert ("HorizontalPodAutoscaler", "app") not in made, "KEDA writes it"
    spec = made["ScaledObject", "app"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 6)
    processor, queue = spec["triggers"]
    assert (processor["type"], processor["metadata"]) == ("cpu", {"value": "70"})
    assert (queue["type"], queue["metricType"]) == ("prometheus", "AverageValue")
    assert (queue["metadata"]["serverAddress"], queue["metadata"]["threshold"]) == (URL, "8")


def test_a_queue_that_vanishes_is_no_empty_one() -> None:
    assert scaled()["triggers"][1]["metadata"]["ignoreNullValues"] == "false"


def test_the_query_finds_the_pods_of_this_deployment_and_no_others() -> None:
    query = scaled()["triggers"][1]["metadata"]["query"]
    assert query.startswith('sum(assistant_requests_waiting{namespace="llmagentos-dev",pod=~"')
    # Prometheus' patterns hold for the whole value.
    (pods,) = (re.compile(found) for found in re.findall(r'pod=~"([^"]*)"', query))
    assert pods.fullmatch("app-7d9c5b8f6-x2k4p")
    for other in ("app-large-7d9c5b8f6-x2k4p", "app-canary-7d9c5b8f6-x2k4p", "my-app-7d9c5b8f6-x2k4p", "app-0"):
        assert not pods.fullmatch(other), other


def test_a_program_of_ones_own_names_its_metric() -> None:
    assert "sum(jobs_waiting{" in scaled(metric="jobs_waiting")["triggers"][1]["metadata"]["query"]
    changes = queued()
    own = served(**changes) | {}
    own["applications"]["app"]["command"] = ["serve"]
    assert "replicas.queue needs a metric" in faults_of(own)
    own["applications"]["app"]["replicas"]["queue"]["metric"] = "jobs_waiting"
    parse(own, where="f")


def test_the_count_is_the_autoscalers() -> None:
    (deployment,) = (
        found for found in synthesised(served(**queued())).of_type("kubernetes:apps/v1:Deployment")
        if found.name == "app"
    )
    assert deployment.options["ignoreChanges"] == ["spec.replicas"]


def test_without_prometheus_or_keda_it_is_refused() -> None:
    raw = served(**queued())
    del raw["observability"]
    assert "the queue of an application is read from Prometheus, and none is named" in faults_of(raw)
    local = {
        "target": "local", "environment": "dev",
        "applications": {"app": {"image": {"build": "./app"}, "replicas": {**RANGE, "queue": {}}}},
    }  # fmt: skip
    said = faults_of(local)
    assert "the embedded cluster has no KEDA for the queue of an application" in said
    assert "allowed on target local: min, max and cpu_percent" in said and "none is named" not in said


@pytest.mark.parametrize("wrong", [{"metric": "no spaces"}, {"per_replica": 0}, {"query": "up"}])
def test_what_no_queue_has_is_refused(wrong: dict[str, Any]) -> None:
    assert "applications.app.replicas" in faults_of(served(**queued(**wrong)))


def test_a_pod_monitor_reads_every_replica() -> None:
    made = objects(**queued(scrape="pod-monitor"))
    spec = made["PodMonitor", "app"]["spec"]
    assert spec["selector"]["matchLabels"] == made["Deployment", "app"]["spec"]["selector"]["matchLabels"]
    assert spec["podMetricsEndpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s"}]
    without = objects(application={"replicas": RANGE}, stack=queued(scrape="pod-monitor")["stack"])
    assert ("PodMonitor", "app") not in without, "nobody asks for it"


def test_service_annotations_name_the_pods_port() -> None:
    made = objects(**queued(scrape="service-annotations"))
    assert made["Service", "app"]["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true", "prometheus.io/port": "8000", "prometheus.io/path": "/metrics",
    }  # fmt: skip
    assert "annotations" not in objects(**queued())["Service", "app"]["metadata"]
