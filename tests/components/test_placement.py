"""Where the pods of a model go: a floor off spot, one pod per node, zones, and nodes that are owned."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llmos.judging import judge
from planner.faults import UserFault
from planner.plan import ModelPlan, make_plan
from planner.settings import parse
from tests.support import by_name, synthesised

CAPACITY = "karpenter.sh/capacity-type"
REVISION = "b968826d9c46dd6066d109eabc6255188de91218"
KEDA: dict[str, Any] = {
    "target": "kubernetes", "context": "c", "environment": "dev", "registry": {"server": "registry.example.com/team"},
    "observability": {"prometheus_url": "http://prometheus.monitoring:9090"},
}  # fmt: skip


def raw(model: dict[str, Any] | None = None, pool: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    chat = {"source": "Qwen/Qwen3-8B", "revision": REVISION, "hardware": {"instance_type": "g6e.xlarge"}, "replicas": 4}
    stack = {
        "target": "local",
        "applications": {"assistant": {"image": {"build": "./app"}, "model": "chat"}},
        "models": {"chat": {**chat, **(model or {})}},
        "gpu_pool": pool or {},
    }
    return copy.deepcopy({**stack, **more})


def planned(stack: dict[str, Any]) -> ModelPlan:
    (model,) = make_plan(parse(stack, where="P"), stack="dev").models
    return model


def parts(stack: dict[str, Any]) -> list[tuple[str, int, int, bool]]:
    return [(part.name, part.replicas_min, part.replicas_max, part.on_demand) for part in planned(stack).parts]


def required(pod: dict[str, Any]) -> list[dict[str, Any]]:
    node = pod.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", {})
    return [expression for term in node.get("nodeSelectorTerms", []) for expression in term["matchExpressions"]]


@pytest.mark.parametrize(
    ("spot", "expected"),
    [
        (False, [("chat", 4, 4, False)]),
        (True, [("chat", 4, 4, False)]),
        ({"on_demand_replicas": 0}, [("chat", 4, 4, False)]),
        ({"on_demand_replicas": 1}, [("chat", 1, 1, True), ("chat-spot", 3, 3, False)]),
        ({"on_demand_share": 0.6}, [("chat", 3, 3, True), ("chat-spot", 1, 1, False)]),
        ({"on_demand_replicas": 9}, [("chat", 4, 4, True)]),
    ],
)
def test_the_floor_is_a_deployment_of_its_own(spot: Any, expected: list[tuple[str, int, int, bool]]) -> None:
    assert parts(raw(pool={"spot": spot})) == expected
    assert sum(most for _, _, most, _ in expected) == planned(raw(pool={"spot": spot})).replicas_max == 4


def test_one_service_reaches_both_parts_and_their_selectors_do_not_overlap() -> None:
    objects = by_name(raw(pool={"spot": {"on_demand_replicas": 1}}))
    floor, rest = objects["Deployment", "chat"]["spec"], objects["Deployment", "chat-spot"]["spec"]
    assert (floor["replicas"], rest["replicas"]) == (1, 3)
    labels = [part["template"]["metadata"]["labels"] for part in (floor, rest)]
    for part, own in ((floor, labels[0]), (rest, labels[1])):
        selects = [set(part["selector"]["matchLabels"].items()) <= set(found.items()) for found in labels]
        assert selects.count(True) == 1 and set(part["selector"]["matchLabels"].items()) <= set(own.items())
    service = objects["Service", "chat"]["spec"]["selector"]
    fence = objects["NetworkPolicy", "chat"]["spec"]["podSelector"]["matchLabels"]
    (way,) = (
        peer["podSelector"]["matchLabels"]
        for (kind, name), found in objects.items() if kind == "NetworkPolicy" and name.startswith("assistant")
        for rule in found["spec"].get("egress", []) for peer in rule["to"]
        if "podSelector" in peer and "namespaceSelector" not in peer
    )
    for selector in (service, fence, way):
        assert all(set(selector.items()) <= set(found.items()) for found in labels)
    for name in ("chat", "chat-spot"):
        budget = objects["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"]
        assert budget["app.kubernetes.io/name"] == name


def test_the_floor_never_stands_on_spot_and_the_rest_may_stand_anywhere() -> None:
    objects = by_name(raw(pool={"spot": {"on_demand_replicas": 1}}))
    floor, rest = (objects["Deployment", name]["spec"]["template"]["spec"] for name in ("chat", "chat-spot"))
    assert {"key": CAPACITY, "operator": "NotIn", "values": ["spot"]} in required(floor)
    assert not [item for item in required(rest) if item["key"] == CAPACITY] and CAPACITY not in rest["nodeSelector"]
    (pool,) = (found for (kind, _), found in objects.items() if kind == "NodePool")
    offered = {item["key"]: item["values"] for item in pool["spec"]["template"]["spec"]["requirements"]}
    assert offered[CAPACITY] == ["on-demand", "spot"]


def test_the_autoscaler_owns_what_is_above_the_floor() -> None:
    pool = {"node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}}
    pool["spot"] = {"on_demand_replicas": 2}
    objects = by_name(raw({"replicas": {"min": 1, "max": 6}, "autoscaling": "keda"}, pool, **KEDA))
    assert ("ScaledObject", "chat") not in objects
    assert objects["Deployment", "chat"]["spec"]["replicas"] == 2, "the floor runs all the time"
    scaled = objects["ScaledObject", "chat-spot"]["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 4)
    waiting, cache = (trigger["metadata"] for trigger in scaled["triggers"])
    # The floor's share of the cache is not this part's to start replicas for.
    assert cache["query"].startswith("clamp_min(sum(") and cache["query"].endswith("- 1.6, 0)")
    assert waiting["ignoreNullValues"] == cache["ignoreNullValues"] == "false", "the floor always has metrics"


def test_money_and_gpus_are_counted_for_both_parts() -> None:
    model = {"hardware": {"instance_type": "g6e.12xlarge", "gpus": 1}}
    plain = make_plan(parse(raw(model), where="P"), stack="dev")
    split = make_plan(parse(raw(model, {"spot": {"on_demand_replicas": 1}}), where="P"), stack="dev")
    assert (plain.costs[0].nodes_max, split.costs[0].nodes_max) == (1, 2), "parts share no node"
    assert split.gpu_pool and plain.gpu_pool and split.gpu_pool.on_demand_gpus == 4
    assert split.gpu_pool.max_gpus > plain.gpu_pool.max_gpus


@pytest.mark.parametrize("spot", [{"on_demand_replicas": 1}, {"on_demand_replicas": 4}, True])
def test_the_policies_of_dev_accept_it(spot: Any) -> None:
    stack = raw({"spread": {"one_per_node": True, "zones": 2}}, {"spot": spot, "zones": ["a", "b"]})
    findings = judge(synthesised(stack), environment="dev", preview=False)
    costly = ("monthly-cost", "gpu-count", "memory-total")
    assert not [f for f in findings if f.level == "mandatory" and f.rule not in costly]


def test_one_pod_per_node_and_zones_are_demanded_not_wished() -> None:
    stack = raw({"spread": {"one_per_node": True, "zones": 2}}, {"zones": ["b", "a"]})
    objects = by_name(stack)
    pod = objects["Deployment", "chat"]["spec"]["template"]["spec"]
    (apart,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    labels = objects["Deployment", "chat"]["spec"]["template"]["metadata"]["labels"]
    assert set(apart["labelSelector"]["matchLabels"].items()) <= set(labels.items())
    zone, host = pod["topologySpreadConstraints"]
    assert (zone["topologyKey"], zone["whenUnsatisfiable"], zone["minDomains"], zone["maxSkew"]) == (
        "topology.kubernetes.io/zone", "DoNotSchedule", 2, 1,
    )  # fmt: skip
    assert host["whenUnsatisfiable"] == "ScheduleAnyway"
    (pool,) = (found for (kind, _), found in objects.items() if kind == "NodePool")
    offered = {item["key"]: item["values"] for item in pool["spec"]["template"]["spec"]["requirements"]}
    assert offered["topology.kubernetes.io/zone"] == ["a", "b"]
    packed = raw({"hardware": {"instance_type": "g6e.12xlarge"}, "spread": {"one_per_node": True}})
    assert make_plan(parse(packed, where="P"), stack="dev").costs[0].nodes_max == 4


def test_without_any_of_it_pods_are_as_they_were() -> None:
    pod = by_name(raw())["Deployment", "chat"]["spec"]["template"]["spec"]
    assert "affinity" not in pod
    assert {item["whenUnsatisfiable"] for item in pod["topologySpreadConstraints"]} == {"ScheduleAnyway"}


def test_reserved_machines_are_taken_first() -> None:
    (pool,) = (
        found for (kind, _), found in by_name(raw(pool={"owned": {"g6e.xlarge": 2}})).items() if kind == "NodePool"
    )
    offered = {item["key"]: item["values"] for item in pool["spec"]["template"]["spec"]["requirements"]}
    assert offered[CAPACITY] == ["reserved", "on-demand"]


def test_a_name_that_the_spot_part_needs_is_refused() -> None:
    stack = raw(pool={"spot": {"on_demand_replicas": 1}})
    stack["models"]["chat-spot"] = stack["models"]["chat"]
    with pytest.raises(UserFault, match="is what the Deployment of interruptible replicas of `chat` is called"):
        parse(stack, where="P")
