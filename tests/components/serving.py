"""Stacks with one vLLM model on a cluster that exists, for tests of how models are served."""

from __future__ import annotations

from typing import Any

from llmos.kube import KubeObject
from tests.support import by_name

__all__ = [
    "GATEWAY", "IMAGE", "JOB", "OTHER_REVISION", "PIN", "REVISION", "SHARED", "egress", "env", "jobs", "model_pod",
    "mounts", "objects", "served", "server", "volume",
]  # fmt: skip

REVISION = "b968826d9c46dd6066d109eabc6255188de91218"
OTHER_REVISION = "0123456789abcdef0123456789abcdef01234567"
GATEWAY = {
    "url": "http://gateway.ingress/chat", "namespace": "ingress", "labels": {"app": "gateway"}, "port": 8080,
    "queue": {"query": 'sum(gateway_queue_size{model="chat"}) or vector(0)'},
}  # fmt: skip
IMAGE = f"reg.example/weights@sha256:{'2' * 64}"
PIN = {"model.safetensors": "3" * 64, "config.json": "4" * 64}
SHARED = {"storage_class": "efs"}
JOB = {**SHARED, "download": "job"}


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


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def mounts(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["name"]: mount for mount in container["volumeMounts"]}


def volume(pod: dict[str, Any], name: str = "weights") -> dict[str, Any]:
    return next(item for item in pod["volumes"] if item["name"] == name)


def egress(made: dict[tuple[str, str], Any], name: str = "chat") -> list[Any]:
    """Destinations of a NetworkPolicy, DNS aside: (block or namespace, labels, ports)."""
    found = []
    for rule in made["NetworkPolicy", name]["spec"]["egress"]:
        (peer,), ports = rule["to"], tuple(port["port"] for port in rule["ports"])
        if ports == (53, 53):
            continue
        place = peer.get("ipBlock", {}).get("cidr") or peer["namespaceSelector"]["matchLabels"].popitem()[1]
        found.append((place, peer.get("podSelector", {}).get("matchLabels", {}), ports))
    return found


def jobs(made: dict[tuple[str, str], Any]) -> list[Any]:
    return [item for (kind, _), item in made.items() if kind == "Job"]
