"""What waits for what, in which order things go, and how long the engine has patience with each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llmos.synth import Resource
from tests.components.serving import served
from tests.support import stack_file, synthesised


def by_object(raw: Mapping[str, Any]) -> dict[tuple[str, str], Resource]:
    return {(r.inputs["kind"], r.inputs["metadata"]["name"]): r
            for r in synthesised(raw).resources if r.type.startswith("kubernetes:")}  # fmt: skip


def waits_for(resource: Resource, found: Mapping[tuple[str, str], Resource]) -> set[tuple[str, str]]:
    """Everything that is there before it, and goes after it."""
    by_urn = {other.urn: key for key, other in found.items()}
    reached: set[tuple[str, str]] = set()
    left = [by_urn[urn] for urn in resource.dependencies if urn in by_urn]
    while left:
        key = left.pop()
        if key not in reached:
            reached.add(key)
            left += [by_urn[urn] for urn in found[key].dependencies if urn in by_urn]
    return reached


def patience(resource: Resource) -> int:
    return int(resource.inputs["metadata"]["annotations"]["pulumi.com/timeoutSeconds"])


def test_the_namespace_is_first_and_goes_last() -> None:
    found = by_object(stack_file("dev"))
    inside = {key for key, resource in found.items() if resource.inputs["metadata"].get("namespace")}
    assert len(inside) > 15
    for key in inside:
        assert ("Namespace", "assistant") in waits_for(found[key], found), key


def test_pods_go_before_their_nodes_so_that_these_can_be_drained() -> None:
    found = by_object(stack_file("dev"))
    pool, node_class = ("NodePool", "llmagentos-dev-gpu"), ("KWOKNodeClass", "llmagentos-dev-gpu")
    assert {pool, node_class} <= waits_for(found["Deployment", "chat"], found)
    assert node_class in waits_for(found[pool], found)
    assert pool not in waits_for(found["Deployment", "tiny"], found), "it runs on no GPU"
    assert patience(found[pool]) >= 1800


def test_fences_stand_before_the_pods_behind_them() -> None:
    found = by_object(stack_file("dev"))
    for name, policy in (("assistant", "assistant-egress"), ("chat", "chat"), ("tiny", "tiny")):
        fences = {("NetworkPolicy", policy), ("NetworkPolicy", "default-deny"), ("ServiceAccount", name)}
        assert fences <= waits_for(found["Deployment", name], found), name


def test_a_service_is_awaited_only_after_the_pods_behind_it() -> None:
    """Its own wait ends after ten minutes, which a large model takes to load."""
    found = by_object(stack_file("dev"))
    services = [name for kind, name in found if kind == "Service"]
    assert sorted(services) == ["assistant", "chat", "tiny"]
    for name in services:
        assert ("Deployment", name) in waits_for(found["Service", name], found)


@pytest.mark.parametrize(("replicas", "at_least"), [(1, 700), (4, 4 * 700)])
def test_an_update_may_take_as_long_as_its_models_load_one_after_the_other(replicas: int, at_least: int) -> None:
    deployment = by_object(served(replicas=replicas))["Deployment", "chat"]
    spec = deployment.inputs["spec"]
    pod = spec["template"]["spec"]
    probe = pod["containers"][0]["startupProbe"]
    load = probe["periodSeconds"] * probe["failureThreshold"]
    assert patience(deployment) >= replicas * (load + pod["terminationGracePeriodSeconds"]) >= at_least
    assert spec["progressDeadlineSeconds"] < patience(deployment) or replicas == 1


def test_an_application_at_its_most_replicas_may_be_exchanged() -> None:
    raw = stack_file("dev")
    raw["applications"]["assistant"]["replicas"] = {"min": 2, "max": 20}
    deployment = by_object(raw)["Deployment", "assistant"]
    pod = deployment.inputs["spec"]["template"]["spec"]
    assert patience(deployment) >= 20 * (120 + pod["terminationGracePeriodSeconds"])


def test_a_volume_is_not_awaited_and_outlives_its_pods() -> None:
    """A class that binds on first use waits for a pod, which waits for its Deployment, which waits for the volume."""
    found = by_object(served(weights={"storage_class": "shared"}))
    claim = found["PersistentVolumeClaim", "chat-weights"]
    assert claim.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    assert ("PersistentVolumeClaim", "chat-weights") in waits_for(found["Deployment", "chat"], found)
