"""Outside dev, on the real Pulumi engine: a namespace and a volume that must not go by accident."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmos.kube import Kube, KubeObject, as_list
from tests.e2e.engine_stacks import NEEDED, EngineStack, application, engine_stack

__all__ = ["engine_stack"]

pytestmark = NEEDED


def model(**weights: Any) -> dict[str, Any]:
    return {
        "source": "Qwen/Qwen3-8B", "revision": "b968826d9c46dd6066d109eabc6255188de91218",
        "hardware": {"instance_type": "g6.xlarge", "gpus": 1}, "weights": weights,
    }  # fmt: skip


@pytest.fixture
def classes(kube: Kube) -> Any:
    """What a cluster's owner brings: a second StorageClass, and a node class for Karpenter."""
    (simulated,) = kube.get("storageclass", "simulated")
    metadata = {"name": "simulated-2"}
    kept = {key: value for key, value in simulated.items() if key not in ("metadata", "status")}
    node_class: KubeObject = {
        "apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "owned"}, "spec": {},
    }  # fmt: skip
    made = as_list([{**kept, "metadata": metadata}, node_class])
    kube.run("apply", "-f", "-", stdin=made)
    yield
    kube.run("delete", "-f", "-", "--wait=false", stdin=made)


def test_what_would_be_lost_is_kept_unless_it_is_named(
    engine_stack: EngineStack, kube: Kube, classes: None
) -> None:
    stack = engine_stack
    kube.run("create", "namespace", stack.namespace)
    stack.kubectl("create", "secret", "generic", "keys", "--from-literal=keys=of-somebody")
    pool = {
        "kind": "karpenter", "max_gpus": 2,
        "node_class": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "owned"},
    }  # fmt: skip
    settings = {
        "environment": "staging", "namespace": {"name": stack.namespace, "create": False, "fence": False},
        "gpu_pool": pool,
    }  # fmt: skip
    web = application(
        model="chat", endpoint={"type": "ClusterIP"}, secrets={"API_KEYS": {"secret": "keys", "key": "keys"}}
    )
    stack.write({"web": web}, models={"chat": model(storage_class="simulated")}, **settings)
    stack.run("up")
    assert stack.live("resourcequota", "stack") is None and stack.live("limitrange", "stack") is None
    claim = stack.live("pvc", "chat-weights")
    assert claim

    stack.write({"web": web}, models={"chat": model(storage_class="simulated-2")}, **settings)
    document = json.loads(stack.run("preview", "--json", code=1).stdout)
    refused = {(row["rule"], row["object"]) for row in document["policy"] if row["level"] == "mandatory"}
    assert refused == {("no-replace", f"PersistentVolumeClaim/{stack.namespace}/chat-weights")}
    stack.run("up", code=1)
    assert stack.live("pvc", "chat-weights") == claim

    said = stack.run("destroy")
    assert "left on purpose: PersistentVolumeClaim/chat-weights" in said.stdout
    assert stack.live("deployment", "chat") is None and stack.live("secret", "keys")
    kept = stack.live("pvc", "chat-weights")
    assert kept and kept["metadata"]["uid"] == claim["metadata"]["uid"]
