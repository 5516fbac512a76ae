"""Applications and model servers as the cluster gets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from components._pod import merge
from tests.support import DIGEST, by_name

SHORT: dict[str, Any] = {"target": "local", "applications": {"llm-app": {"image": {"build": "./app"}}}}


def pods(raw: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for (kind, name), item in by_name(raw).items():
        if kind == "Deployment":
            yield name, item["spec"]["template"]["spec"]


def environment(raw: dict[str, Any], name: str) -> dict[str, Any]:
    container = by_name(raw)["Deployment", name]["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_the_shortest_stack_gives_the_reference_result() -> None:
    made = by_name(SHORT)
    deployment, service = made["Deployment", "llm-app"], made["Service", "llm-app"]
    assert deployment["spec"]["replicas"] == 3
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == 8000
    assert container["image"] == f"127.0.0.1:5000/dev/llm-app@{DIGEST}"
    assert service["spec"]["type"] == "LoadBalancer"
    assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [(80, 8000)]
    assert environment(SHORT, "llm-app")["API_KEYS"] == {"secretKeyRef": {"name": "llm-app-api-keys", "key": "keys"}}
    assert ("Secret", "llm-app-api-keys") in made
    assert ("HorizontalPodAutoscaler", "llm-app") not in made


def test_every_pod_is_hardened(dev: dict[str, Any]) -> None:
    for name, pod in pods(dev):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {item["topologyKey"] for item in pod["topologySpreadConstraints"]} >= {"topology.kubernetes.io/zone"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] and security["runAsNonRoot"]
            assert security["capabilities"] == {"drop": ["ALL"]} and not security["allowPrivilegeEscalation"]
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
            assert "@sha256:" in container["image"]


def test_writable_places_are_bounded_volumes(dev: dict[str, Any]) -> None:
    for _, pod in pods(dev):
        assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"])
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_a_pod_is_given_longer_to_end_than_its_longest_stream(dev: dict[str, Any]) -> None:
    for name, pod in pods(dev):
        container = pod["containers"][0]
        drain = {entry["name"]: entry.get("value") for entry in container["env"]}.get("DRAIN_SECONDS")
        shutdown = [arg.partition("=")[2] for arg in container.get("args", []) if arg.startswith("--shutdown-timeout")]
        stream = int(drain or shutdown[0])
        pre_stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] > pre_stop + stream, name


def test_vllm_gets_the_plan_as_arguments(dev: dict[str, Any]) -> None:
    pod = dict(pods(dev))["chat"]
    (server,) = pod["containers"]
    revision = dev["models"]["chat"]["revision"]
    assert {
        "--model=Qwen/Qwen3-8B", f"--revision={revision}", f"--tokenizer-revision={revision}", "--max-model-len=8192",
        "--tensor-parallel-size=1", "--load-format=safetensors", "--enable-prefix-caching",
    } <= set(server["args"])  # fmt: skip
    assert not any("trust-remote-code" in arg for arg in server["args"])
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert server["startupProbe"]["httpGet"]["path"] == "/v1/models"
    assert pod["nodeSelector"]["node.kubernetes.io/instance-type"] == "g6.xlarge"


@pytest.mark.parametrize("gpus", [1, 2, 4])
def test_tensor_parallel_equals_the_gpus_that_are_paid_for(dev: dict[str, Any], gpus: int) -> None:
    dev["models"]["chat"]["hardware"] = {"instance_type": "g6.12xlarge", "gpus": gpus}
    dev["gpu_pool"] = {"kind": "karpenter"}
    (server,) = dict(pods(dev))["chat"]["containers"]
    assert f"--tensor-parallel-size={gpus}" in server["args"]
    assert server["resources"]["limits"]["nvidia.com/gpu"] == str(gpus)


def test_the_application_is_told_its_model_server(dev: dict[str, Any]) -> None:
    values = environment(dev, "assistant")
    assert (values["BACKEND_URL"], values["BACKEND_MODEL"]) == ("http://tiny:8080", "tiny")
    assert values["PRESET"] == "customer-service"
    del dev["applications"]["assistant"]["model"]
    assert "BACKEND_URL" not in environment(dev, "assistant")


def test_a_gated_models_token_comes_from_a_secret(dev: dict[str, Any]) -> None:
    dev["models"]["chat"]["token"] = {"secret": "hub", "key": "token"}
    assert environment(dev, "chat")["HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "token"}}


def test_a_weight_cache_is_shared_or_per_pod_but_never_a_deadlock(dev: dict[str, Any]) -> None:
    assert "emptyDir" in dict(pods(dev))["chat"]["volumes"][0]
    dev["models"]["chat"]["weights"] = {"storage_class": "efs"}
    claim = by_name(dev)["PersistentVolumeClaim", "chat-weights"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert dict(pods(dev))["chat"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "chat-weights"}


def test_a_pull_secret_is_given_to_pods_of_built_images_only(dev: dict[str, Any]) -> None:
    dev["registry"] = {"server": "registry.example/team", "pull_secret": "regcred"}
    found = dict(pods(dev))
    assert found["assistant"]["imagePullSecrets"] == [{"name": "regcred"}]
    assert "imagePullSecrets" not in found["chat"]


def test_overrides_win_and_keep_the_rest(dev: dict[str, Any]) -> None:
    dev["applications"]["assistant"]["pod_overrides"] = {
        "priorityClassName": "high", "containers": [{"name": "application", "imagePullPolicy": "Always"}],
    }  # fmt: skip
    pod = dict(pods(dev))["assistant"]
    assert pod["priorityClassName"] == "high"
    assert pod["containers"][0]["imagePullPolicy"] == "Always"
    assert pod["containers"][0]["securityContext"]["runAsNonRoot"] is True


def test_merge_changes_neither_side_and_null_removes() -> None:
    base = {"a": {"b": 1, "c": 2}, "env": [{"name": "X", "value": "1"}], "keep": [1]}
    over = {"a": {"b": None}, "env": [{"name": "Y"}, {"name": "X", "value": "2"}], "keep": [2]}
    assert merge(base, over) == {"a": {"c": 2}, "env": [{"name": "X", "value": "2"}, {"name": "Y"}], "keep": [2]}
    assert base["a"] == {"b": 1, "c": 2} and over["a"] == {"b": None}
