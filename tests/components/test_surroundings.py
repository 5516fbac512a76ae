"""What stands around the workloads: namespace, flows, GPU pool, autoscaling, identity."""

from __future__ import annotations

from typing import Any

import pytest

from planner.faults import UserFault
from planner.settings import parse
from tests.support import by_name, synthesised


def kubernetes_stack(dev: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        **dev, "target": "kubernetes", "environment": "prod", "context": "company",
        "registry": {"server": "reg.example/t"}, "gpu_pool": {"kind": "existing", "selector": {"gpu": "l4"}}, **more,
    }  # fmt: skip


def test_the_namespace_is_restricted_and_denies_by_default(dev: dict[str, Any]) -> None:
    made = by_name(dev)
    labels = made["Namespace", "assistant"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    deny = made["NetworkPolicy", "default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert made["ResourceQuota", "stack"]["spec"]["hard"]["requests.nvidia.com/gpu"] == "2"


def test_an_existing_namespace_is_fenced_but_not_made(dev: dict[str, Any]) -> None:
    dev["namespace"]["create"] = False
    made = by_name(dev)
    assert ("Namespace", "assistant") not in made
    assert made["NetworkPolicy", "llmagentos-dev-default-deny"]["spec"]["podSelector"] == {}
    assert {("ResourceQuota", "llmagentos-dev-stack"), ("LimitRange", "llmagentos-dev-stack")} <= made.keys()
    assert not {name for _, name in made} & {"default-deny", "stack"}, "names that its owner may have taken"


def test_an_existing_namespace_with_a_fence_of_its_own_gets_none(dev: dict[str, Any]) -> None:
    dev["namespace"] |= {"create": False, "fence": False}
    made = by_name(dev)
    assert not [kind for kind, _ in made if kind in ("ResourceQuota", "LimitRange", "Namespace")]
    deny = made["NetworkPolicy", "llmagentos-dev-default-deny"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in deny and "egress" not in deny
    own = deny["podSelector"]["matchLabels"]
    pods = [item["spec"]["template"] for (kind, _), item in made.items() if kind == "Deployment"]
    assert len(pods) == 3
    assert all(own.items() <= pod["metadata"]["labels"].items() for pod in pods), "all of the stack's, and no other's"


def test_a_namespace_of_the_stack_is_fenced(dev: dict[str, Any]) -> None:
    dev["namespace"]["fence"] = False
    with pytest.raises(UserFault, match="fence: false goes with create: false"):
        parse(dev, where="Pulumi.dev.yaml")


def test_an_existing_service_is_left_alone(dev: dict[str, Any]) -> None:
    dev["applications"]["assistant"]["endpoint"]["create"] = False
    made = by_name(dev)
    assert ("Service", "assistant") not in made
    assert ("NetworkPolicy", "assistant-ingress") in made, "its callers are let in all the same"


def test_only_the_flows_that_the_stack_needs_are_open(dev: dict[str, Any]) -> None:
    made = by_name(dev)
    tiny, chat = made["NetworkPolicy", "tiny"]["spec"], made["NetworkPolicy", "chat"]["spec"]
    (source,) = tiny["ingress"]
    assert source["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "assistant"
    assert source["ports"] == [{"protocol": "TCP", "port": 8080}]
    assert tiny["egress"] == [], "its weights are in the image"
    assert chat["ingress"] == [], "no application uses it"
    internet = chat["egress"][1]["to"][0]["ipBlock"]
    assert "169.254.0.0/16" in internet["except"], "the cloud's metadata service"
    egress = made["NetworkPolicy", "assistant-egress"]["spec"]["egress"]
    assert [rule["ports"][0]["port"] for rule in egress] == [53, 8080]


def test_the_pool_makes_the_stated_nodes_and_no_more(dev: dict[str, Any]) -> None:
    made = by_name(dev)
    pool = made["NodePool", "llmagentos-dev-gpu"]["spec"]
    requirements = {item["key"]: item["values"] for item in pool["template"]["spec"]["requirements"]}
    assert requirements["node.kubernetes.io/instance-type"] == ["g6.xlarge"]
    assert requirements["karpenter.sh/capacity-type"] == ["on-demand"]
    assert pool["limits"] == {"nvidia.com/gpu": "2"}
    assert pool["template"]["spec"]["taints"][0]["key"] == "nvidia.com/gpu"
    assert pool["template"]["spec"]["nodeClassRef"]["kind"] == "KWOKNodeClass"
    pod = made["Deployment", "chat"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"]["llmagentos.dev/pool"] == "llmagentos-dev-gpu"
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_spot_stands_beside_on_demand(dev: dict[str, Any]) -> None:
    dev["gpu_pool"]["spot"] = True
    requirements = by_name(dev)["NodePool", "llmagentos-dev-gpu"]["spec"]["template"]["spec"]["requirements"]
    assert ["on-demand", "spot"] in [item["values"] for item in requirements]


def test_an_existing_pool_is_selected_and_not_made(dev: dict[str, Any]) -> None:
    made = by_name(kubernetes_stack(dev))
    assert not [kind for kind, _ in made if kind in ("NodePool", "KWOKNodeClass")]
    assert made["Deployment", "chat"]["spec"]["template"]["spec"]["nodeSelector"]["gpu"] == "l4"


def test_a_clusters_own_node_class_is_referred_to(dev: dict[str, Any]) -> None:
    pool = {"node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}}
    made = by_name(kubernetes_stack(dev, gpu_pool=pool))
    reference = made["NodePool", "llmagentos-dev-gpu"]["spec"]["template"]["spec"]["nodeClassRef"]
    assert reference == {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}
    assert not [kind for kind, _ in made if kind.endswith("NodeClass")]


def test_cpu_autoscaling_of_an_application(dev: dict[str, Any]) -> None:
    spec = by_name(dev)["HorizontalPodAutoscaler", "assistant"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 10)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    deployment = next(
        r for r in synthesised(dev).of_type("kubernetes:apps/v1:Deployment") if r.name == "assistant"
    )
    assert deployment.options["ignoreChanges"] == ["spec.replicas"], "the autoscaler owns the count"


def test_keda_scales_a_model_on_queue_and_cache(dev: dict[str, Any]) -> None:
    dev["models"]["chat"]["autoscaling"] = "keda"
    raw = kubernetes_stack(dev, observability={"prometheus_url": "http://prometheus.monitoring:9090"})
    spec = by_name(raw)["ScaledObject", "chat"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 3)
    queries = [trigger["metadata"]["query"] for trigger in spec["triggers"]]
    assert "num_requests_waiting" in queries[0] and "kv_cache_usage" in queries[1]
    assert all(trigger["metadata"]["ignoreNullValues"] == "false" for trigger in spec["triggers"])


@pytest.mark.parametrize("name", ["assistant", "chat", "tiny"])
def test_every_workload_has_a_disruption_budget(dev: dict[str, Any], name: str) -> None:
    assert by_name(dev)["PodDisruptionBudget", name]["spec"]["maxUnavailable"] == 1


def test_selectors_are_name_and_instance_only(dev: dict[str, Any]) -> None:
    for (kind, name), item in by_name(dev).items():
        if kind == "Deployment":
            selector = item["spec"]["selector"]["matchLabels"]
            assert selector == {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "dev"}


def test_outside_dev_what_cannot_be_made_again_is_protected(dev: dict[str, Any]) -> None:
    dev["models"]["chat"]["weights"] = {"storage_class": "efs"}
    kept = ("kubernetes:core/v1:Namespace", "kubernetes:core/v1:PersistentVolumeClaim")
    for resource in synthesised(kubernetes_stack(dev)).of_type(*kept):
        assert resource.options["protect"] and resource.options["retainOnDelete"], resource.name
    for resource in synthesised(dev).of_type(*kept):
        assert "protect" not in resource.options


def test_every_resource_names_its_provider(dev: dict[str, Any]) -> None:
    for resource in synthesised(dev).resources:
        if resource.custom and not resource.type.startswith("pulumi:providers:"):
            assert resource.provider, resource.urn
    (cluster,) = synthesised(dev).of_type("pulumi:providers:kubernetes")
    assert cluster.inputs["clusterIdentifier"]


def test_cluster_scoped_names_carry_the_stack(dev: dict[str, Any]) -> None:
    names = {(kind, name) for kind, name in by_name(dev, stack="other") if kind in ("NodePool", "KWOKNodeClass")}
    assert names == {("NodePool", "llmagentos-other-gpu"), ("KWOKNodeClass", "llmagentos-other-gpu")}


def test_images_are_never_deleted_by_a_replace_and_never_built_in_a_preview(dev: dict[str, Any]) -> None:
    (image,) = synthesised(dev).of_type("docker-build:index:Image")
    assert image.options["retainOnDelete"]
    assert image.inputs["push"] is True and image.inputs["buildOnPreview"] is False


def test_the_service_waits_for_the_pods_and_the_pods_for_their_fence(dev: dict[str, Any]) -> None:
    program = synthesised(dev)
    deployment = next(r for r in program.of_type("kubernetes:apps/v1:Deployment") if r.name == "chat")
    service = next(r for r in program.of_type("kubernetes:core/v1:Service") if r.name == "chat")
    assert deployment.urn in service.dependencies
    assert any("NetworkPolicy" in urn for urn in deployment.dependencies)
    assert any(urn.endswith("NodePool::gpu-pool") for urn in deployment.dependencies)


def test_the_stack_states_its_budget_for_the_policies(dev: dict[str, Any]) -> None:
    (stack,) = synthesised(dev).of_type("llmagentos:components:LlmStack")
    assert stack.inputs["budget"] == {"usdPerMonth": 1500, "gpus": 4, "memoryGib": 128, "file": "Pulumi.dev.yaml"}
    assert stack.inputs["environment"] == "dev"
