"""Models that KServe or llm-d runs instead of a Deployment of the stack's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.engines.applyset import MEMBER_LABEL
from llmos.engines.base import EngineRun
from llmos.engines.kubectl import preview
from planner.faults import UserFault
from planner.settings import parse
from tests.components.serving import objects, served
from tests.components.test_serving_scaling import SCALED, peers
from tests.support import synthesised

PICKER = f"ghcr.io/llm-d/llm-d-router-endpoint-picker:v0.10.0@sha256:{'3' * 64}"
GATEWAY = {
    "url": "http://gateway.ingress.svc/chat", "namespace": "ingress", "labels": {"app": "gateway"}, "port": 8080,
    "parent": {"name": "inference", "namespace": "ingress"},
}  # fmt: skip
LLM_D: dict[str, Any] = {"serving": "llm-d", "llm_d": {"image": PICKER}, "gateway": GATEWAY}
KSERVE: dict[str, Any] = {"serving": "kserve"}


# KServe


def test_kserve_gets_the_pod_that_a_deployment_would_have() -> None:
    plain = objects()["Deployment", "chat"]["spec"]
    made = objects(**KSERVE)
    assert ("Deployment", "chat") not in made
    item = made["InferenceService", "chat"]
    assert item["apiVersion"] == "serving.kserve.io/v1beta1"
    predictor = dict(item["spec"]["predictor"])
    labels, strategy = predictor.pop("labels"), predictor.pop("deploymentStrategy")
    replicas = predictor.pop("minReplicas"), predictor.pop("maxReplicas")
    assert (labels, strategy, replicas) == (plain["template"]["metadata"]["labels"], plain["strategy"], (1, 1))
    (server,) = predictor["containers"]
    assert server["name"] == "kserve-container", "the name that KServe looks for"
    predictor["containers"] = [{**server, "name": "server"}]
    assert predictor == plain["template"]["spec"]


def test_kserve_publishes_nothing_and_scales_nothing_by_itself() -> None:
    metadata = objects(**KSERVE)["InferenceService", "chat"]["metadata"]
    assert metadata["labels"]["networking.kserve.io/visibility"] == "cluster-local"
    assert metadata["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert metadata["annotations"]["serving.kserve.io/autoscalerClass"] == "none"


def test_applications_reach_kserves_pods_as_they_reach_others() -> None:
    made, plain = objects(**KSERVE), objects()
    for key in (("Service", "chat"), ("NetworkPolicy", "chat"), ("PodDisruptionBudget", "chat"), ("Deployment", "app")):
        assert made[key] == plain[key]
    pods = made["InferenceService", "chat"]["spec"]["predictor"]["labels"]
    assert made["Service", "chat"]["spec"]["selector"].items() <= pods.items()


def test_keda_scales_the_deployment_that_kserve_makes() -> None:
    made = objects(**SCALED, **KSERVE)
    assert made["ScaledObject", "chat"]["spec"]["scaleTargetRef"]["name"] == "chat-predictor"
    item = made["InferenceService", "chat"]
    assert item["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"
    assert (item["spec"]["predictor"]["minReplicas"], item["spec"]["predictor"]["maxReplicas"]) == (1, 3)


def test_overrides_and_weights_reach_kserve_too() -> None:
    changes = {
        **KSERVE, "weights": {"storage_class": "efs", "download": "job"},
        "pod_overrides": {"containers": [{"name": "server", "env": [{"name": "X", "value": "1"}]}]},
    }  # fmt: skip
    predictor = objects(**changes)["InferenceService", "chat"]["spec"]["predictor"]
    assert {"name": "X", "value": "1"} in predictor["containers"][0]["env"]
    assert [item["name"] for item in predictor["initContainers"]] == ["weights-wait"]


def test_pulumi_waits_until_kserve_is_ready() -> None:
    (item,) = synthesised(served(**KSERVE)).of_type("kubernetes:serving.kserve.io/v1beta1:InferenceService")
    annotations = item.inputs["metadata"]["annotations"]
    assert annotations["pulumi.com/waitFor"] == "condition=Ready"
    assert int(annotations["pulumi.com/timeoutSeconds"]) > 600


# llm-d


def test_llm_d_chooses_among_the_replicas() -> None:
    made = objects(**LLM_D)
    pool = made["InferencePool", "chat"]
    assert pool["apiVersion"] == "inference.networking.k8s.io/v1"
    selector = pool["spec"]["selector"]["matchLabels"]
    assert selector == made["Deployment", "chat"]["spec"]["selector"]["matchLabels"]
    assert pool["spec"]["targetPorts"] == [{"number": 8000}]
    reference = pool["spec"]["endpointPickerRef"]
    service = made["Service", reference["name"]]["spec"]
    assert (reference["kind"], reference["port"]["number"]) == ("Service", service["ports"][0]["port"])
    picker = made["Deployment", "chat-picker"]["spec"]
    assert service["selector"].items() <= picker["template"]["metadata"]["labels"].items()
    assert picker["strategy"] == {"type": "Recreate"} and picker["replicas"] == 1


def test_the_route_leads_from_the_gateway_to_the_pool() -> None:
    spec = objects(**LLM_D)["HTTPRoute", "chat"]["spec"]
    assert [(parent["name"], parent["namespace"]) for parent in spec["parentRefs"]] == [("inference", "ingress")]
    (rule,) = spec["rules"]
    assert rule["backendRefs"] == [{"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "chat"}]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/chat"}}]
    assert rule["filters"][0]["urlRewrite"]["path"] == {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    assert rule["timeouts"]["request"] == "0s", "a stream takes as long as it takes"
    plain = objects(**{**LLM_D, "gateway": {**GATEWAY, "url": "http://chat.example"}})["HTTPRoute", "chat"]["spec"]
    assert plain["rules"][0]["matches"][0]["path"]["value"] == "/" and "filters" not in plain["rules"][0]


def test_applications_call_the_gateway_which_with_the_picker_alone_reaches_the_server() -> None:
    made = objects(**LLM_D)
    env = made["Deployment", "app"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "BACKEND_URL", "value": "http://gateway.ingress.svc/chat"} in env
    picker = made["Deployment", "chat-picker"]["spec"]["selector"]["matchLabels"]
    assert peers(made["NetworkPolicy", "chat"], "ingress") == [("ingress", {"app": "gateway"}), ("", picker)]
    assert peers(made["NetworkPolicy", "chat-picker"], "ingress") == [("ingress", {"app": "gateway"})]
    server = made["Deployment", "chat"]["spec"]["selector"]["matchLabels"]
    assert ("", server) in peers(made["NetworkPolicy", "chat-picker"], "egress")


def test_the_picker_may_read_pods_and_its_pool_and_no_more() -> None:
    made = objects(**{**LLM_D, "llm_d": {"image": PICKER, "api_server": "10.0.0.1/32"}})
    rules = made["Role", "chat-picker"]["rules"]
    assert {(rule["apiGroups"][0], rule["resources"][0]) for rule in rules} == {
        ("", "pods"), ("inference.networking.k8s.io", "inferencepools"),
    }  # fmt: skip
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    binding = made["RoleBinding", "chat-picker"]
    assert binding["roleRef"]["name"] == binding["subjects"][0]["name"] == "chat-picker"
    pod = made["Deployment", "chat-picker"]["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("chat-picker", False)
    (picker,) = pod["containers"]
    token = next(item for item in pod["volumes"] if item["name"] == "token")["projected"]["sources"][0]
    assert token["serviceAccountToken"]["expirationSeconds"] == 3600
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in [mount["mountPath"] for mount in picker["volumeMounts"]]
    last = made["NetworkPolicy", "chat-picker"]["spec"]["egress"][-1]
    assert last["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}] and [p["port"] for p in last["ports"]] == [443, 6443]


def test_the_picker_is_told_its_pool_and_how_to_choose() -> None:
    made = objects(**LLM_D)
    (picker,) = made["Deployment", "chat-picker"]["spec"]["template"]["spec"]["containers"]
    assert {"--pool-name=chat", "--pool-namespace=llmagentos-dev", "--config-file=/config/plugins.yaml"} <= set(
        picker["args"]
    )
    assert picker["image"] == PICKER
    config = yaml.safe_load(made["ConfigMap", "chat-picker"]["data"]["plugins.yaml"])
    assert (config["apiVersion"], config["kind"]) == ("llm-d.ai/v1alpha1", "EndpointPickerConfig")
    known = {plugin.get("name", plugin["type"]) for plugin in config["plugins"]}
    assert {plugin["pluginRef"] for plugin in config["schedulingProfiles"][0]["plugins"]} <= known


def test_the_quota_has_room_for_the_picker() -> None:
    plain, made = (objects(**changes)["ResourceQuota", "stack"]["spec"]["hard"] for changes in ({}, LLM_D))
    assert int(made["pods"]) == int(plain["pods"]) + 1
    assert float(made["requests.cpu"]) == float(plain["requests.cpu"]) + 1


def test_metrics_of_the_picker_are_collected_where_those_of_servers_are() -> None:
    made = objects(**LLM_D, stack={"observability": {"scrape": {"namespace": "o11y"}}})
    assert ("o11y", {"app.kubernetes.io/name": "prometheus"}) in peers(made["NetworkPolicy", "chat-picker"], "ingress")


# What is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"serving": "llm-d"}, "serving llm-d needs llm_d: {image"),
        ({**LLM_D, "gateway": {key: value for key, value in GATEWAY.items() if key != "parent"}}, "parent: {name"),
        ({"llm_d": {"image": PICKER}}, "llm_d goes with serving: llm-d"),
        ({"serving": "llm-d", "gateway": GATEWAY, "llm_d": {"image": "x:latest"}}, "must end in a digest"),
        ({"serving": "knative"}, "input should be 'deployment', 'kserve' or 'llm-d'"),
    ],
)
def test_what_cannot_be_handed_on_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserFault) as caught:
        parse(served(**changes), where="f")
    assert said in str(caught.value.faults[0])


@pytest.mark.parametrize("changes", [KSERVE, LLM_D])
def test_the_embedded_cluster_runs_neither(changes: dict[str, Any]) -> None:
    raw = {**served(**changes), "target": "local", "context": None}
    with pytest.raises(UserFault, match=f"the embedded cluster has no {changes['serving']}"):
        parse(raw, where="f")


def test_kubectl_would_prune_what_kserve_makes(tmp_path: Path) -> None:
    """It says so before it looks for a cluster, which this kubeconfig has none of."""
    run = EngineRun(
        stack="dev", stack_file=tmp_path / "x", environment="dev", namespace="n", kubeconfig=tmp_path / "none"
    )
    with pytest.raises(UserFault, match="would be pruned by the next `up`"):
        preview(run, synthesised(served(**KSERVE)))


def test_kedas_hpa_does_not_inherit_the_mark_that_kubectl_prunes_by() -> None:
    annotations = objects(**SCALED)["ScaledObject", "chat"]["metadata"]["annotations"]
    assert annotations["scaledobject.keda.sh/hpa-excluded-labels"] == MEMBER_LABEL
