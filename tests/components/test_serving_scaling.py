"""Scaling of model servers by KEDA, the gateway in front of them, and who may collect their metrics."""

from __future__ import annotations

from typing import Any

import pytest

from planner.faults import UserFault
from planner.settings import parse
from tests.components.serving import GATEWAY, objects, served
from tests.support import synthesised

PROMETHEUS = {"observability": {"prometheus_url": "http://prometheus.monitoring:9090"}}
SCALED: dict[str, Any] = {"autoscaling": "keda", "replicas": {"min": 1, "max": 3}, "stack": PROMETHEUS}
TO_ZERO: dict[str, Any] = {**SCALED, "replicas": {"min": 0, "max": 3}, "gateway": GATEWAY}


def scaled_object(**changes: Any) -> dict[str, Any]:
    return objects(**changes)["ScaledObject", "chat"]


def peers(policy: dict[str, Any], way: str) -> list[tuple[str, dict[str, str]]]:
    return [
        (
            peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", ""),
            peer["podSelector"]["matchLabels"],
        )
        for rule in policy["spec"][way]
        for peer in rule["from" if way == "ingress" else "to"]
        if "podSelector" in peer
    ]


def fault_of(raw: dict[str, Any]) -> str:
    with pytest.raises(UserFault) as caught:
        parse(raw, where="f")
    (fault,) = caught.value.faults
    return str(fault)


def test_lost_metrics_keep_what_runs() -> None:
    """KEDA then takes the larger of the present number and ``fallback.replicas``: the maximum would buy it all."""
    spec = scaled_object(**{**SCALED, "replicas": {"min": 2, "max": 9}})["spec"]
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicasIfHigher"}
    assert all(trigger["metricType"] == "AverageValue" for trigger in spec["triggers"]), "what the fallback is exact on"
    assert [trigger["metadata"]["ignoreNullValues"] for trigger in spec["triggers"]] == ["false", "false"]


def test_queries_find_this_model_and_no_other() -> None:
    for trigger in scaled_object(**SCALED)["spec"]["triggers"]:
        query = trigger["metadata"]["query"]
        assert query.startswith("sum(vllm:") and query.endswith('{namespace="llmagentos-dev",model_name="chat"})')


def test_an_hpa_that_exists_changes_hands() -> None:
    found = scaled_object(**SCALED)
    assert found["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"] == "true"
    name = found["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"]
    assert name == "chat", "KEDA takes over only what is named"


def test_going_to_zero_asks_a_queue_that_outlives_the_pods() -> None:
    made = objects(**TO_ZERO)
    spec = made["ScaledObject", "chat"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 3)
    queue, cache, gateway = (trigger["metadata"] for trigger in spec["triggers"])
    assert (queue["ignoreNullValues"], cache["ignoreNullValues"]) == ("true", "true"), "no pods, no metrics, no fault"
    assert gateway["query"] == GATEWAY["queue"]["query"] and gateway["ignoreNullValues"] == "false"
    assert spec["fallback"]["replicas"] == 1, "0 would leave the model down for as long as the metric is lost"
    assert spec["cooldownPeriod"] >= 300
    assert made["Deployment", "chat"]["spec"]["replicas"] == 0
    program = synthesised(served(**TO_ZERO))
    (deployment,) = (r for r in program.of_type("kubernetes:apps/v1:Deployment") if r.name == "chat")
    assert deployment.options["ignoreChanges"] == ["spec.replicas"]
    (service,) = (r for r in program.of_type("kubernetes:core/v1:Service") if r.name == "chat")
    assert service.inputs["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}, "no pod will be ready"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"replicas": {"min": 0, "max": 2}}, "autoscaling fixed, which would never serve"),
        ({"replicas": {"min": 0, "max": 2}, "autoscaling": "keda", "stack": PROMETHEUS}, "no gateway holds requests"),
        (
            {**TO_ZERO, "gateway": {key: value for key, value in GATEWAY.items() if key != "queue"}},
            "no gateway holds requests",
        ),
    ],
)
def test_zero_without_a_queue_in_front_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in fault_of(served(**changes))


def test_with_a_gateway_applications_call_it_and_only_it_reaches_the_server() -> None:
    made = objects(gateway=GATEWAY)
    env = made["Deployment", "app"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "BACKEND_URL", "value": "http://gateway.ingress/chat"} in env
    assert peers(made["NetworkPolicy", "chat"], "ingress") == [("ingress", {"app": "gateway"})]
    assert ("ingress", {"app": "gateway"}) in peers(made["NetworkPolicy", "app-egress"], "egress")
    assert made["NetworkPolicy", "app-egress"]["spec"]["egress"][-1]["ports"][0]["port"] == 8080


def test_prometheus_may_collect_what_the_autoscaler_reads() -> None:
    expected = ("monitoring", {"app.kubernetes.io/name": "prometheus"})
    assert expected in peers(objects(**SCALED)["NetworkPolicy", "chat"], "ingress")
    assert expected not in peers(objects()["NetworkPolicy", "chat"], "ingress"), "nobody is named"


def test_a_collector_that_cannot_be_told_from_the_address_must_be_stated() -> None:
    elsewhere = {"observability": {"prometheus_url": "https://metrics.corp.example.com"}}
    assert "no collector" in fault_of(served(**{**SCALED, "stack": elsewhere}))
    stated = {"observability": {**elsewhere["observability"], "scrape": {"namespace": "o11y", "labels": {"a": "b"}}}}
    made = objects(**{**SCALED, "stack": stated})
    assert ("o11y", {"a": "b"}) in peers(made["NetworkPolicy", "chat"], "ingress")


def test_a_pod_monitor_selects_every_replica() -> None:
    made = objects(stack={"observability": {"scrape": {"by": "pod-monitor", "interval_seconds": 30}}})
    spec = made["PodMonitor", "chat"]["spec"]
    assert spec["selector"]["matchLabels"] == made["Deployment", "chat"]["spec"]["selector"]["matchLabels"]
    (endpoint,) = spec["podMetricsEndpoints"]
    ports = made["Deployment", "chat"]["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert endpoint["port"] in [port["name"] for port in ports] and endpoint["interval"] == "30s"


def test_service_annotations_leave_the_pods_alone() -> None:
    plain = objects()
    made = objects(stack={"observability": {"scrape": {"by": "service-annotations"}}})
    annotations = made["Service", "chat"]["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true" and annotations["prometheus.io/port"] == "8000"
    assert made["Deployment", "chat"] == plain["Deployment", "chat"]
