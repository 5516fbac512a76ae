"""Workloads of tests' own on the embedded cluster, and a kubectl for them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from llmos.cluster.info import ClusterInfo
from llmos.process import run

__all__ = ["NAME_LABEL", "Kubectl", "deployment", "kubectl", "namespace", "pod_spec"]

NAME_LABEL = "app.kubernetes.io/name"


class Kubectl:
    def __init__(self, cluster: ClusterInfo) -> None:
        self._command = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "--context", cluster.context]

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        return run([*self._command, *words], stdin=stdin).stdout

    def get(self, *words: str) -> list[dict]:
        return json.loads(self("get", *words, "-o", "json"))["items"]

    def apply(self, *objects: dict) -> None:
        manifest = {"apiVersion": "v1", "kind": "List", "items": objects}
        self("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))


@pytest.fixture
def kubectl(embedded_cluster: ClusterInfo) -> Kubectl:
    return Kubectl(embedded_cluster)


@pytest.fixture
def namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-")[:60].strip("-")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def pod_spec(**extra: object) -> dict:
    container = {
        "name": "main",
        "image": "example.org/main",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": extra.pop("resources", {}),
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"containers": [container], "securityContext": security, **extra}


def deployment(name: str, namespace: str, *, replicas: int, **extra: object) -> dict:
    labels = {NAME_LABEL: name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(**extra)},
        },
    }
