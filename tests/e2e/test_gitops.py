"""Rendered files on a real API server: `kubectl apply -k` of them gives the objects of `up`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmos.daemons import wait_until
from llmos.engines.shapes import comparable
from llmos.kube import Kube, KubeObject, identity
from tests.e2e.conftest import Llmos, Write
from tests.go_definitions import wait_established

pytestmark = pytest.mark.cluster
KINDS = (
    "networkpolicies,serviceaccounts,deployments,services,poddisruptionbudgets,horizontalpodautoscalers,"
    "limitranges,resourcequotas"
)  # fmt: skip
# As the External Secrets Operator brings it, without its schema.
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "externalsecrets.external-secrets.io"},
    "spec": {
        "group": "external-secrets.io", "scope": "Namespaced",
        "names": {"kind": "ExternalSecret", "plural": "externalsecrets", "singular": "externalsecret"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}],
    },
}  # fmt: skip


@pytest.fixture
def external_secrets(kube: Kube) -> Iterator[None]:
    kube.run("apply", "-f", "-", stdin=json.dumps(CRD))
    wait_established(kube, "crd/externalsecrets.external-secrets.io")
    yield
    kube.run("delete", "crd", "externalsecrets.external-secrets.io")


def objects(kube: Kube, space: str, name: str) -> dict[tuple[str, str, str], KubeObject]:
    """What is there of a stack, without what the server and the tools write for themselves."""
    label = f"app.kubernetes.io/instance={name}"
    found = [*kube.get(KINDS, "-n", space), *kube.get("nodepools,kwoknodeclasses", "-l", label)]
    return {identity(item): plain(item) for item in found if "kubernetes.io/service-account.name" not in str(item)}


def plain(item: KubeObject) -> KubeObject:
    made = comparable(item)
    made["metadata"].pop("annotations", None)
    if made["kind"] == "Service":
        # Drawn by the server from its ranges.
        spec = {key: value for key, value in made["spec"].items() if key not in ("clusterIP", "clusterIPs")}
        ports = [{key: value for key, value in port.items() if key != "nodePort"} for port in spec["ports"]]
        made = {**made, "spec": {**spec, "ports": ports}}
    return made


@pytest.mark.parametrize("tool", ["argocd", "flux"])
def test_applying_the_files_gives_the_objects_of_up(
    tool: str, llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube, external_secrets: None, tmp_path: Path
) -> None:
    small["applications"]["web"]["replicas"] = {"min": 2, "max": 4}
    path = stack(small)
    name = path.name.split(".")[1]
    space = f"llmagentos-{name}"
    done = llmos("up", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 0, done.stderr
    wanted = objects(kube, space, name)
    assert ("Deployment", space, "web") in wanted and any(key[0] == "NodePool" for key in wanted)
    assert llmos("destroy", "--engine", "kubectl", "--file", str(path)).returncode == 0
    try:
        done = llmos("render", "--file", str(path), "--gitops", tool, "--out", str(tmp_path / "out"))
        assert done.returncode == 0, done.stderr
        layers = ["."] if tool == "argocd" else ["fences", "nodes", "workloads"]
        for layer in layers:
            kube.run("apply", "--server-side", "-k", str(tmp_path / "out" / layer))
        # The autoscaler raises the count that the files leave to it.
        wait_until(lambda: objects(kube, space, name) == wanted, timeout_seconds=90)
        assert objects(kube, space, name) == wanted
        (reference,) = kube.get("externalsecrets", "-n", space)
        assert reference["spec"]["target"]["name"] == "web-api-keys"
    finally:
        kube.run("delete", "namespace", space, "--ignore-not-found", timeout_seconds=120)
        kube.run("delete", "nodepools,kwoknodeclasses", "-l", f"app.kubernetes.io/instance={name}", timeout_seconds=120)
