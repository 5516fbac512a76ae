"""Ways of keeping and fetching weights on a real API server, with the volume controllers of Kubernetes and simulated
disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmos.kube import Kube
from tests.e2e.conftest import Llmos, Write
from tests.e2e.test_stack import actions, namespace, up

pytestmark = pytest.mark.cluster

IMAGE = "registry.example/qwen3@sha256:" + "2" * 64
OTHER = "0123456789abcdef0123456789abcdef01234567"


def served(small: dict[str, Any], **model: Any) -> dict[str, Any]:
    small["models"]["chat"] |= model
    return small


def pods(kube: Kube, path: Path, name: str) -> list[dict[str, Any]]:
    return list(kube.get("pods", "-n", namespace(path), "-l", f"app.kubernetes.io/name={name}"))


def test_every_replica_has_a_volume_of_its_own(llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube) -> None:
    weights = {"volume": "replica", "storage_class": "simulated", "download": "init"}
    path = stack(served(small, weights=weights, replicas=2))
    up(llmos, path)
    running = pods(kube, path, "chat")
    claims = {item["metadata"]["name"]: item for item in kube.get("pvc", "-n", namespace(path))}
    assert len(running) == 2 and set(claims) == {f"{pod['metadata']['name']}-weights" for pod in running}
    assert {claim["status"]["phase"] for claim in claims.values()} == {"Bound"}
    assert {owner["kind"] for claim in claims.values() for owner in claim["metadata"]["ownerReferences"]} == {"Pod"}
    assert actions(llmos, path).keys() == {"same"}, "claims that come with pods are none of the stack's objects"


def test_a_job_fills_the_volume_that_servers_share(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube
) -> None:
    weights = {"storage_class": "simulated", "download": "job"}
    path = stack(served(small, weights=weights, replicas=2))
    up(llmos, path)
    (first,) = kube.get("jobs", "-n", namespace(path))
    (claim,) = kube.get("pvc", "-n", namespace(path))
    for pod in [*pods(kube, path, "chat"), *pods(kube, path, "chat-fetch")]:
        mounted = [volume.get("persistentVolumeClaim") for volume in pod["spec"]["volumes"]]
        assert [found for found in mounted if found] == [{"claimName": claim["metadata"]["name"]}]
    assert not [pod for pod in pods(kube, path, "chat-fetch") if "nvidia.com/gpu" in str(pod["spec"])]
    assert actions(llmos, path).keys() == {"same"}

    served(small, revision=OTHER)
    stack(small)
    changes = actions(llmos, path)
    assert f"Job/{first['metadata']['name']}" in changes["delete"], "a Job cannot be changed, only followed"
    assert "Deployment/chat" in changes["update"] and "PersistentVolumeClaim/chat-weights" in changes["same"]
    up(llmos, path)
    (second,) = kube.get("jobs", "-n", namespace(path))
    assert second["metadata"]["name"] != first["metadata"]["name"]


def test_weights_and_adapters_from_images(llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube) -> None:
    adapters = {"support": {"image": IMAGE, "rank": 8}}
    small["applications"]["web"]["model"] = "chat/support"
    path = stack(served(small, weights={"image": IMAGE}, adapters=adapters))
    up(llmos, path)
    (pod,) = pods(kube, path, "chat")
    images = {volume["name"]: volume["image"]["reference"] for volume in pod["spec"]["volumes"] if "image" in volume}
    assert images == {"weights": IMAGE, "adapter-support": IMAGE}
    assert actions(llmos, path).keys() == {"same"}


def test_the_api_server_admits_every_way_of_serving(
    llmos: Llmos, stack: Write, small: dict[str, Any]
) -> None:
    """Networks, certificates and proxies of all kinds, by server-side dry run."""
    small["hub"] = {
        "endpoint": "https://10.1.1.1:8443/hf", "ca": {"config_map": "corp-ca"}, "no_proxy": [".corp"],
        "egress": [{"namespace": "models", "labels": {"a": "b"}, "ports": [80, 443]}, {"cidr": "10.9.0.0/16"}],
    }  # fmt: skip
    gateway = {"url": "http://gateway.ingress/chat", "namespace": "ingress", "labels": {"app": "g"}, "port": 8080}
    small["observability"] = {"scrape": {"by": "service-annotations"}}
    path = stack(served(small, gateway=gateway, weights={"download": "init"}))
    assert actions(llmos, path).keys() == {"create"}
