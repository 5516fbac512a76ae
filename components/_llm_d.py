"""The objects of llm-d's router in gateway mode, for version 0.9 (2026-08): an InferencePool that names a picker, the
picker's configuration and pod, and the route from a gateway to the pool."""

from __future__ import annotations

from typing import Any

from components._base import Identity
from components._network import from_pods_of, to_api_server, to_dns, to_pods
from components._placement import model_selector
from components._pod import env_list, hardened, pod_spec
from planner.plan import ModelPlan, ScrapePlan

__all__ = [
    "PLUGINS", "PORT", "picker_flows", "picker_pod", "pool_spec", "reads_pods", "reads_pool", "route_spec",
]  # fmt: skip

PORT, _HEALTH_PORT, _METRICS_PORT = 9002, 9003, 9090
_CONFIG, _TOKEN = "/config", "/var/run/secrets/kubernetes.io/serviceaccount"
# What its documentation calls the default: short queues and free cache count double, a known prefix three times.
_PLUGINS = """\
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: queue-scorer
- type: kv-cache-utilization-scorer
- type: prefix-cache-scorer
- type: metrics-data-source
  parameters: {scheme: http, path: /metrics}
- type: core-metrics-extractor
schedulingProfiles:
- name: default
  plugins:
  - {pluginRef: queue-scorer, weight: 2}
  - {pluginRef: kv-cache-utilization-scorer, weight: 2}
  - {pluginRef: prefix-cache-scorer, weight: 3}
"""
PLUGINS = {"plugins.yaml": _PLUGINS}
_READ = ["get", "list", "watch"]
reads_pods = {"apiGroups": [""], "resources": ["pods"], "verbs": _READ}
reads_pool = {"apiGroups": ["inference.networking.k8s.io"], "resources": ["inferencepools"], "verbs": _READ}
# Far below the 8 cores of its chart, which are for thousands of requests a second.
_RESOURCES = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "4", "memory": "2Gi"}}


def picker_pod(identity: Identity, model: ModelPlan, *, name: str, pull_secret: str) -> dict[str, Any]:
    """The picker's pod. It reads pods and its pool from the API server, so its container has a token, for an hour at a
    time, as a volume of its own; nothing is mounted by itself."""
    health = {"grpc": {"port": _HEALTH_PORT, "service": "inference-extension"}, "timeoutSeconds": 5}
    picker = hardened(
        name="picker",
        image=model.picker.image if model.picker else "",
        args=[
            f"--pool-name={model.name}", f"--pool-namespace={identity.namespace}",
            "--pool-group=inference.networking.k8s.io", f"--config-file={_CONFIG}/plugins.yaml", "--zap-encoder=json",
            f"--grpc-port={PORT}", f"--grpc-health-port={_HEALTH_PORT}", f"--metrics-port={_METRICS_PORT}",
            "--metrics-endpoint-auth=false", "--tracing=false",
        ],
        ports=[
            {"name": "grpc", "containerPort": PORT}, {"name": "grpc-health", "containerPort": _HEALTH_PORT},
            {"name": "metrics", "containerPort": _METRICS_PORT},
        ],
        env=env_list({"NAMESPACE": identity.namespace}, {}),
        resources=_RESOURCES,
        readinessProbe={**health, "periodSeconds": 2},
        livenessProbe={**health, "initialDelaySeconds": 5, "periodSeconds": 10},
        volumeMounts=[
            {"name": "config", "mountPath": _CONFIG, "readOnly": True},
            {"name": "token", "mountPath": _TOKEN, "readOnly": True},
        ],
    )  # fmt: skip
    return pod_spec(
        service_account=name,
        selector=identity.selector(name),
        containers=[picker],
        volumes=[{"name": "config", "configMap": {"name": name}}, {"name": "token", "projected": _token()}],
        stream_seconds=model.stream_seconds,
        pull_secret=pull_secret,
    )


def _token() -> dict[str, Any]:
    """What Kubernetes mounts for programs that talk to its API."""
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    certificate = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    return {
        "defaultMode": 0o444,
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}, {"configMap": certificate},
            {"downwardAPI": {"items": [namespace]}},
        ],
    }  # fmt: skip


def picker_flows(
    identity: Identity, model: ModelPlan, *, name: str, port: int, scrape: ScrapePlan | None
) -> dict[str, Any]:
    """NetworkPolicy: asked by the gateway, read by who collects metrics; reads the replicas' metrics and the API
    server."""
    gateway, picker = model.gateway, model.picker
    assert gateway and picker, "settings demand both"
    ingress = [from_pods_of(gateway.namespace, gateway.labels, PORT)]
    if scrape:
        ingress.append(from_pods_of(scrape.namespace, scrape.labels, _METRICS_PORT))
    return {
        "podSelector": {"matchLabels": identity.selector(name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": [to_dns(), to_pods(model_selector(identity, model), port), to_api_server(picker.api_server)],
    }


def pool_spec(identity: Identity, model: ModelPlan, *, picker: str, port: int) -> dict[str, Any]:
    """The replicas, and who chooses among them. Without the picker the gateway takes any."""
    return {
        "selector": {"matchLabels": model_selector(identity, model)},
        "targetPorts": [{"number": port}],
        "endpointPickerRef": {
            "group": "", "kind": "Service", "name": picker, "port": {"number": PORT}, "failureMode": "FailOpen",
        },
    }  # fmt: skip


def route_spec(model: ModelPlan) -> dict[str, Any]:
    """From the gateway to the pool, at the path of the gateway's URL; answers stream as long as they take."""
    gateway = model.gateway
    assert gateway, "settings demand it"
    backend = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": model.name}
    rule: dict[str, Any] = {"backendRefs": [backend], "timeouts": {"request": "0s", "backendRequest": "0s"}}
    path = gateway.path or "/"
    rule["matches"] = [{"path": {"type": "PathPrefix", "value": path}}]
    if path != "/":
        rewrite = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
        rule["filters"] = [{"type": "URLRewrite", "urlRewrite": {"path": rewrite}}]
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway.parent}
    if gateway.parent_namespace:
        parent["namespace"] = gateway.parent_namespace
    return {"parentRefs": [parent], "rules": [rule]}
