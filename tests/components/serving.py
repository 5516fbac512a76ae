"""Stacks with one vLLM model on a cluster that exists, for tests of how models are served."""

from __future__ import annotations

from typing import Any

from llmos.kube import KubeObject
from tests.support import by_name

__all__ = ["GATEWAY", "OTHER_REVISION", "REVISION", "model_pod", "objects", "served", "server"]

REVISION = "b968826d9c46dd6066d109eabc6255188de91218"
OTHER_REVISION = "0123456789abcdef0123456789abcdef01234567"
GATEWAY = {
    "url": "http://gateway.ingress/chat", "namespace": "ingress", "labels": {"app": "gateway"}, "port": 8080,
    "queue": {"query": 'sum(gateway_queue_size{model="chat"}) or vector(0)'},
}  # fmt: skip


def served(*, application: dict[str, Any] | None = None, stack: dict[str, Any] | None = None, **model: Any) -> Any:
    """A stack file's value: application `app` in front of model `chat`, with keys changed or added."""
    return {
        "target": "kubernetes", "environment": "dev", "context": "company",
        "applications": {
            "app": {"image": {"ref": f"reg.example/app@sha256:{'1' * 64}"}, "model": "chat", **(application or {})}
        },
        "models": {
            "chat": {
                "source": "Qwen/Qwen3-8B", "revision": REVISION,
                "hardware": {"instance_type": "g6.xlarge", "gpus": 1}, **model,
            }
        },
        "gpu_pool": {"kind": "existing", "selector": {"gpu": "l4"}},
        **(stack or {}),
    }  # fmt: skip


def objects(**changes: Any) -> dict[tuple[str, str], KubeObject]:
    """The Kubernetes objects of ``served`` by (kind, name)."""
    return by_name(served(**changes))


def model_pod(**changes: Any) -> dict[str, Any]:
    """Spec of the model server's pods."""
    return objects(**changes)["Deployment", "chat"]["spec"]["template"]["spec"]


def server(**changes: Any) -> dict[str, Any]:
    """The container that serves."""
    return model_pod(**changes)["containers"][0]
