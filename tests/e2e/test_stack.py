"""The kubectl engine on a real API server with a real node autoscaler: up, up again, change, prune, destroy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmos.daemons import wait_until
from llmos.kube import Kube
from tests.e2e.conftest import Llmos, Write

pytestmark = pytest.mark.cluster


def namespace(path: Path) -> str:
    return f"llmagentos-{path.name.split('.')[1]}"


def actions(llmos: Llmos, path: Path) -> dict[str, set[str]]:
    done = llmos("preview", "--json", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 0, done.stderr
    found: dict[str, set[str]] = {}
    for item in json.loads(done.stdout)["objects"]:
        found.setdefault(item["action"], set()).add(f"{item['kind']}/{item['name']}")
    return found


def up(llmos: Llmos, path: Path) -> str:
    done = llmos("up", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_stacks_life(llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube) -> None:
    path = stack(small)
    space = namespace(path)
    assert actions(llmos, path).keys() == {"create"}
    said = llmos("preview", "--engine", "kubectl", "--file", str(path)).stdout
    assert "Network policies: not enforced on simulated nodes" in said

    said = up(llmos, path)
    assert "objects changed" in said and "g6.xlarge, 1 GPU, simulated" in said
    (pod,) = kube.get("pods", "-n", space, "-l", "app.kubernetes.io/name=chat")
    (node,) = kube.get("node", pod["spec"]["nodeName"])
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "g6.xlarge"
    assert kube.get("secret", "web-api-keys", "-n", space)

    assert actions(llmos, path).keys() == {"same"}
    before = versions(kube, space)
    assert "nothing changed" in up(llmos, path)
    assert versions(kube, space) == before, "the second run wrote nothing"

    small["applications"]["web"]["env"] = {"LOG_LEVEL": "debug"}
    small["applications"]["second"] = {**small["applications"]["web"]}
    stack(small)
    changes = actions(llmos, path)
    assert "Deployment/web" in changes["update"] and "Deployment/second" in changes["create"]
    up(llmos, path)

    del small["applications"]["second"]
    stack(small)
    assert "Deployment/second" in actions(llmos, path)["delete"]
    up(llmos, path)
    assert not kube.get("deployment", "second", "-n", space), "pruned"
    assert kube.get("deployment", "web", "-n", space)

    done = llmos("destroy", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 0, done.stderr
    assert not kube.get("namespace", space)
    label = f"app.kubernetes.io/instance={path.name.split('.')[1]}"
    assert not kube.get("nodepools,kwoknodeclasses", "-l", label)
    wait_until(lambda: not kube.get("node", node["metadata"]["name"]), timeout_seconds=60)
    assert "nothing" in llmos("status", "--file", str(path)).stdout


def versions(kube: Kube, space: str) -> dict[str, str]:
    kinds = "deployments,services,networkpolicies,secrets,serviceaccounts,poddisruptionbudgets,configmaps"
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for item in kube.get(kinds, "-n", space)
        if item["kind"] != "Deployment"
    } | {
        f"generation/{item['metadata']['name']}": str(item["metadata"]["generation"])
        for item in kube.get("deployments", "-n", space)
    }


def test_generated_keys_survive_updates(llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube) -> None:
    path = stack(small)
    up(llmos, path)
    (before,) = kube.get("secret", "web-api-keys", "-n", namespace(path))
    small["applications"]["web"]["env"] = {"LOG_LEVEL": "debug"}
    stack(small)
    up(llmos, path)
    (after,) = kube.get("secret", "web-api-keys", "-n", namespace(path))
    assert before["data"] == after["data"]


def test_an_autoscalers_count_is_left_alone(llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube) -> None:
    small["applications"]["web"]["replicas"] = {"min": 2, "max": 5}
    path = stack(small)
    up(llmos, path)
    space = namespace(path)
    kube.run("scale", "deployment", "web", "-n", space, "--replicas=4")
    small["applications"]["web"]["env"] = {"LOG_LEVEL": "debug"}
    stack(small)
    up(llmos, path)
    (deployment,) = kube.get("deployment", "web", "-n", space)
    assert deployment["spec"]["replicas"] == 4


def test_a_stuck_pod_gives_its_own_reason(llmos: Llmos, stack: Write, small: dict[str, Any]) -> None:
    small["applications"]["web"]["resources"] = {"cpu": "64", "memory": "512Mi"}
    path = stack(small)
    done = llmos("up", "--engine", "kubectl", "--file", str(path), "--timeout-minutes", "0.2")
    assert done.returncode == 2
    assert "Insufficient cpu" in done.stderr and "0 of 2 replicas are available" in done.stderr
    assert "Traceback" not in done.stderr and "To fix:" in done.stderr


def test_a_pod_that_the_namespace_refuses_is_said_before_anything_waits(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube
) -> None:
    path = stack(small)
    up(llmos, path)
    stricter = ["limitrange", "extra", "-n", namespace(path)]
    kube.run("create", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "extra", "namespace": namespace(path)},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]},
    }))  # fmt: skip
    try:
        small["applications"]["web"]["resources"] = {"memory": "2Gi"}
        stack(small)
        done = llmos("up", "--engine", "kubectl", "--file", str(path))
        assert done.returncode == 2 and "maximum memory usage per Container is 1Gi" in done.stderr
        (deployment,) = kube.get("deployment", "web", "-n", namespace(path))
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        assert container["resources"]["limits"]["memory"] == "512Mi", "nothing was applied"
    finally:
        kube.run("delete", *stricter)


def test_a_namespace_of_the_other_engine_is_not_touched(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube
) -> None:
    path = stack(small)
    space = namespace(path)
    kube.run("create", "namespace", space)
    kube.run("label", "namespace", space, "llmagentos.dev/engine=pulumi")
    try:
        for command in ("up", "preview", "destroy"):
            done = llmos(command, "--engine", "kubectl", "--file", str(path))
            assert done.returncode == 1 and "managed by the pulumi engine" in done.stderr, command
        assert not kube.get("deployments", "-n", space)
    finally:
        kube.run("delete", "namespace", space)


def test_an_existing_namespace_stays(llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube) -> None:
    small["namespace"] = {"name": "already-there", "create": False}
    path = stack(small)
    kube.run("create", "namespace", "already-there")
    try:
        up(llmos, path)
        done = llmos("destroy", "--engine", "kubectl", "--file", str(path))
        assert "left on purpose: namespace already-there" in done.stdout
        assert kube.get("namespace", "already-there")
        assert not kube.get("deployments,services,networkpolicies", "-n", "already-there")
    finally:
        kube.run("delete", "namespace", "already-there")
