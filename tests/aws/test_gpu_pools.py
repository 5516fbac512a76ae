"""GPU machines by managed node groups and by EKS Auto Mode: what is refused, and what is made."""

from __future__ import annotations

from typing import Any

import pytest

from planner.plan import GpuGroupPlan
from tests.aws.calls import calls_of
from tests.aws.models import problems
from tests.aws.stacks import faults, of_kind, plan, program, raw, variant

MANAGED = {"gpu_pool": {"kind": "managed-node-group", "spot": False}}
AUTO = {"gpu_pool": {"kind": "auto-mode"}}
RESERVED = {"aws": {"gpu_nodes": {"capacity_reservations": ["cr-0123456789abcdef0"], "zones": ["us-east-1a"]}}}
SECOND = {"models": {"other": {"source": "Qwen/Qwen3-4B", "revision": "a" * 40, "context_tokens": 8192,
                               "hardware": {"instance_type": "g6.12xlarge", "gpus": 4}}},
          "budget": {"gpus": None, "usd_per_month": None}, "gpu_pool": {"max_gpus": None}}  # fmt: skip
NODES = "aws.gpu_nodes"

WRONG: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (MANAGED, {"aws": {"gpu_nodes": {"image_version": "v1.48.0"}}}, f"{NODES}.image_version", "keeps it until"),
    (MANAGED, {"aws": {"gpu_nodes": {"expire_after_hours": 100}}}, f"{NODES}.expire_after_hours", "no age"),
    (MANAGED, {"gpu_pool": {"spot": {"on_demand_replicas": 1}}}, "gpu_pool.spot", "a number"),
    (MANAGED, {"gpu_pool": {"node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "a"}}},
     "gpu_pool.node_class", "is Karpenter's"),
    (MANAGED, variant(RESERVED, {"aws": {"gpu_nodes": {"capacity_reservations": ["cr-0", "cr-1"]}}}),
     f"{NODES}.capacity_reservations", "takes one reservation"),
    (MANAGED, variant(RESERVED, {"aws": {"gpu_nodes": {"zones": []}}}), f"{NODES}.capacity_reservations", "one zone"),
    (MANAGED, variant(RESERVED, {"gpu_pool": {"spot": True}}), f"{NODES}.capacity_reservations", "on demand"),
    (MANAGED, variant(RESERVED, SECOND), f"{NODES}.capacity_reservations", "each model"),
    (AUTO, {"aws": {"gpu_nodes": {"image": "al2023"}}}, f"{NODES}.image", "its own image"),
    (AUTO, {"aws": {"gpu_nodes": {"image_version": "v1"}}}, f"{NODES}.image_version", "its own image"),
    (AUTO, {"aws": {"gpu_nodes": {"device_plugin": False}}}, f"{NODES}.device_plugin", "brings the device plugin"),
    (AUTO, {"aws": {"gpu_nodes": {"expire_after_hours": 720}}}, f"{NODES}.expire_after_hours", "no machine longer"),
    (AUTO, {"target": "kubernetes", "context": "c", "aws": None}, "gpu_pool.kind", "is a thing of AWS"),
]  # fmt: skip
WRONG_CLUSTERS = [
    ({"compute": "auto-mode", "system_nodes": {"count": 3}}, "remove system_nodes"),
    ({"compute": "auto-mode", "addon_versions": {"coredns": "v1.12.4-eksbuild.1"}}, "brings coredns itself"),
]


def made(*changes: dict[str, Any]) -> dict[str, Any]:
    found = raw("aws-dev")
    for change in changes:
        found = variant(found, change)
    return found


@pytest.mark.parametrize(("kind", "changes", "path", "words"), WRONG, ids=[f"{row[2]}-{row[3]}" for row in WRONG])
def test_what_a_pool_does_not_take_is_refused_once(
    kind: dict[str, Any], changes: dict[str, Any], path: str, words: str
) -> None:
    settings = made(kind, changes)
    found = [fault for fault in faults(settings) if words in fault]
    assert len(found) == 1, faults(settings)
    assert found[0].split(": ")[1] == path and "\n  To fix: " in found[0]


@pytest.mark.parametrize(("changes", "words"), WRONG_CLUSTERS, ids=[row[1] for row in WRONG_CLUSTERS])
def test_what_auto_mode_brings_itself_is_not_taken(
    cluster: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    (fault,) = faults(variant(cluster, {"cluster": changes}))
    assert words in fault


def test_a_group_has_the_machines_that_its_model_needs_at_its_maximum_and_they_are_paid_for() -> None:
    found = plan(made(MANAGED, {"models": {"chat": {"replicas": {"min": 1, "max": 2}, "autoscaling": "fixed"}}}))
    assert found.aws and found.aws.gpu_nodes and found.gpu_pool
    (group,) = found.aws.gpu_nodes.groups
    assert group == GpuGroupPlan(
        model="chat", instance_types=("g6.xlarge", "g6.2xlarge"), on_demand=group.on_demand, spot=0
    )
    (cost,) = found.costs
    assert cost.nodes_min == cost.nodes_max == group.on_demand
    assert cost.usd_per_month_min == cost.usd_per_month_max
    # Nothing makes another machine for the pod of an update, so none is started beside the old one.
    assert found.models[0].surge == 0 and found.gpu_pool.max_gpus == group.on_demand


@pytest.mark.parametrize(("floor", "expected"), [(None, (2, 1)), (0, (0, 3)), (1, (1, 2)), (9, (3, 0))])
def test_spot_machines_stand_on_a_floor_of_whole_machines(floor: int | None, expected: tuple[int, int]) -> None:
    replicas = {"models": {"chat": {"replicas": {"min": 2, "max": 3}, "autoscaling": "keda"}},
                "observability": {"prometheus_url": "http://prometheus.monitoring:9090"},
                "gpu_pool": {"spot": True, "max_gpus": 4}, "budget": {"usd_per_month": None}}  # fmt: skip
    found = plan(made(MANAGED, replicas, {"aws": {"gpu_nodes": {"on_demand_gpus": floor}}}))
    assert found.aws and found.aws.gpu_nodes
    assert [(group.on_demand, group.spot) for group in found.aws.gpu_nodes.groups] == [expected]


def test_each_model_has_its_group_and_all_share_a_role() -> None:
    found = program(made(MANAGED, SECOND), "aws-dev")
    groups = of_kind(found, "NodeGroup")
    assert groups.keys() == {"gpu-pool-chat", "gpu-pool-other"}
    assert groups["gpu-pool-other"].inputs["instanceTypes"] == ["g6.12xlarge"]
    roles = {group.inputs["nodeRoleArn"] for group in groups.values()}
    assert roles == {"arn:aws:iam::123456789012:role/llmagentos-aws-dev-us-east-1-gpu"}
    templates = [template.inputs["name"] for template in of_kind(found, "LaunchTemplate").values()]
    assert len(set(templates)) == 2 and not of_kind(found, "NodePool")


@pytest.mark.parametrize(("image", "ami", "disks", "plugin"), [
    ("bottlerocket", "BOTTLEROCKET_x86_64_NVIDIA", ["/dev/xvda", "/dev/xvdb"], False),
    ("al2023", "AL2023_x86_64_NVIDIA", ["/dev/xvda"], True),
])  # fmt: skip
def test_a_group_has_taint_labels_and_image_of_its_family(
    image: str, ami: str, disks: list[str], plugin: bool
) -> None:
    found = program(made(MANAGED, {"aws": {"gpu_nodes": {"image": image}}}), "aws-dev")
    group = of_kind(found, "NodeGroup")["gpu-pool-chat"].inputs
    assert group["amiType"] == ami and ("llmagentos.dev/device-plugin" in group["labels"]) is plugin
    assert group["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]
    template = of_kind(found, "LaunchTemplate")["gpu-pool-chat-template"].inputs
    assert [disk["deviceName"] for disk in template["blockDeviceMappings"]] == disks
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1
    server = of_kind(found, "Deployment")["chat"].inputs["spec"]["template"]["spec"]
    assert server["nodeSelector"].items() <= group["labels"].items()
    assert any(toleration.get("key") == "nvidia.com/gpu" for toleration in server["tolerations"])


def test_the_group_is_there_before_the_server_and_its_role_may_pull() -> None:
    found = program(made(MANAGED), "aws-dev")
    group, server = of_kind(found, "NodeGroup")["gpu-pool-chat"], of_kind(found, "Deployment")["chat"]
    pool = next(r for r in found.resources if r.type.endswith(":ManagedGpuPool"))
    assert {group.urn, pool.urn} & set(server.dependencies)
    rights = {r.urn for name, r in of_kind(found, "RolePolicyAttachment").items() if name.startswith("gpu-pool")}
    assert len(rights) == 2 and rights <= set(group.dependencies), "EKS needs them until the last machine has gone"
    assert "llmagentos-aws-dev-us-east-1-gpu" in of_kind(found, "RepositoryPolicy")["assistant"].inputs["policy"]


def test_a_reservation_is_named_by_the_launch_template() -> None:
    found = program(made(MANAGED, RESERVED), "aws-dev")
    template = of_kind(found, "LaunchTemplate")["gpu-pool-chat-template"].inputs
    wanted = {"capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"}}
    assert template["capacityReservationSpecification"] == wanted


def test_auto_mode_makes_nodes_of_its_own_class() -> None:
    found = program(made(AUTO, RESERVED), "aws-dev")
    assert not of_kind(found, "EC2NodeClass")
    node_class, pools = of_kind(found, "NodeClass")["gpu-pool-class"].inputs, of_kind(found, "NodePool")
    assert node_class["apiVersion"] == "eks.amazonaws.com/v1"
    assert node_class["spec"]["capacityReservationSelectorTerms"] == [{"id": "cr-0123456789abcdef0"}]
    for pool in pools.values():
        template = pool.inputs["spec"]["template"]["spec"]
        assert template["nodeClassRef"] == {
            "group": "eks.amazonaws.com", "kind": "NodeClass", "name": node_class["metadata"]["name"],
        }
        assert template["expireAfter"] == "336h"
    (rule,) = of_kind(found, "NetworkPolicy")["dns-of-nodes"].inputs["spec"]["egress"]
    assert {"cidr": "172.20.0.10/32"} in [peer["ipBlock"] for peer in rule["to"]]


def test_a_cluster_of_auto_mode_leaves_nodes_volumes_and_network_to_eks(cluster: dict[str, Any]) -> None:
    found = program(variant(cluster, {"cluster": {"compute": "auto-mode"}}), "cluster")
    made_by_eks = of_kind(found, "Cluster")["cluster"].inputs
    assert made_by_eks["computeConfig"]["nodePools"] == ["system"], "the general pool of EKS has no limit"
    assert made_by_eks["computeConfig"]["nodeRoleArn"].endswith(":role/llmagentos-us-east-1-node")
    assert made_by_eks["storageConfig"]["blockStorage"]["enabled"]
    assert made_by_eks["kubernetesNetworkConfig"]["elasticLoadBalancing"]["enabled"]
    assert not of_kind(found, "NodeGroup") and not of_kind(found, "Queue")
    assert of_kind(found, "Addon").keys() == {"metrics-server"}
    assert of_kind(found, "Release").keys() == {"load-balancers", "monitoring", "monitoring-gpus"}
    assert of_kind(found, "NodePool")["general-nodes"].inputs["spec"]["limits"] == {"cpu": "32"}
    switch = of_kind(found, "ConfigMap")["network-policies"].inputs
    assert switch["data"] == {"enable-network-policy-controller": "true"}
    assert of_kind(found, "StorageClass")["gp3"].inputs["provisioner"] == "ebs.csi.eks.amazonaws.com"
    trust = of_kind(found, "Role")["cluster-control"].inputs["assumeRolePolicy"]
    assert "sts:TagSession" in trust


def test_the_fee_of_auto_mode_is_said_to_be_unknown(cluster: dict[str, Any]) -> None:
    for found in (plan(variant(cluster, {"cluster": {"compute": "auto-mode"}}), "cluster"), plan(made(AUTO))):
        fees = [cost for cost in found.services if cost.service == "eks-auto-mode"]
        assert fees and all(fee.usd is None for fee in fees) and found.usd_per_month is None


@pytest.mark.parametrize("changes", [
    MANAGED, {"gpu_pool": {"kind": "managed-node-group"}, "aws": {"gpu_nodes": {"on_demand_gpus": 0}}},
], ids=["on demand", "spot"])  # fmt: skip
def test_groups_of_bottlerocket_are_calls_that_aws_knows(changes: dict[str, Any]) -> None:
    found = program(made(changes), "aws-dev")
    calls = [call for resource in (*of_kind(found, "NodeGroup").values(), *of_kind(found, "LaunchTemplate").values())
             for call in calls_of(resource.type.removeprefix("aws:"), resource.inputs)]  # fmt: skip
    assert [call.operation for call in calls] == ["CreateNodegroup", "CreateLaunchTemplate"]
    assert [problems(call) for call in calls] == [[], []]
