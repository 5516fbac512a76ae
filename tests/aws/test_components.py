"""What the components on AWS promise, beyond what golden files show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.aws.aws_endpoint import _name_of
from components.aws.ecr_registry import lifecycle
from llmos.synth import Program
from planner.machine import content_tags
from tests.aws.stacks import of_kind, program, variant

TAGS = st.lists(st.sampled_from(["build-1", "v1", "x"]), max_size=2)
IMAGES = st.lists(st.fixed_dictionaries({"tags": TAGS, "days": st.integers(0, 900)}), max_size=30)


def expired(policy: dict[str, Any], images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What ECR expires by a policy of rules on age: https://docs.aws.amazon.com/AmazonECR/latest/userguide/
    LifecyclePolicies.html. A rule of a kind that this does not know is an error, not a pass."""
    gone = []
    for rule in policy["rules"]:
        selection = rule["selection"]
        assert (selection["tagStatus"], selection["countType"], selection["countUnit"]) == (
            "untagged", "sinceImagePushed", "days",
        )  # fmt: skip
        gone += [image for image in images if not image["tags"] and image["days"] > selection["countNumber"]]
    return gone


@given(images=IMAGES, days=st.integers(1, 400))
def test_no_image_that_has_a_tag_ever_expires(images: list[dict[str, Any]], days: int) -> None:
    gone = expired(json.loads(lifecycle(days)), images)
    assert all(not image["tags"] for image in gone)
    assert [image for image in images if not image["tags"] and image["days"] > days] == gone


def test_every_push_has_a_tag_of_its_own_content(programs: Callable[[str], Program], tmp_path: Any) -> None:
    """Or the lifecycle rule would not protect it, and the second push of the same tag would be refused."""
    found = programs("aws-dev")
    (image,) = of_kind(found, "Image").values()
    (repository,) = of_kind(found, "Repository").values()
    assert repository.inputs["imageTagMutability"] == "IMMUTABLE"
    name, _, tag = image.inputs["tags"][0].rpartition(":")
    assert name.endswith(repository.inputs["name"]) and tag.startswith("build-")
    (tmp_path / "app").mkdir()
    file = tmp_path / "app" / "main.py"
    tags = set()
    for content, salt in (("a", ""), ("b", ""), ("b", "other base image"), ("b", "other base image")):
        file.write_text(content)
        tags.add(content_tags(["app"], project=tmp_path, salt=salt)["app"])
    assert len(tags) == 3


def test_the_repository_is_there_before_the_push(programs: Callable[[str], Program]) -> None:
    (image,) = of_kind(programs("aws-dev"), "Image").values()
    assert any(urn.endswith("Repository::assistant") for urn in image.dependencies)


def test_repositories_are_kept_outside_dev(dev: dict[str, Any]) -> None:
    (repository,) = of_kind(program(dev, "aws-dev"), "Repository").values()
    assert repository.inputs["forceDelete"] and "protect" not in repository.options
    (kept,) = of_kind(program({**dev, "environment": "prod"}, "aws-prod"), "Repository").values()
    assert not kept.inputs["forceDelete"] and kept.options["protect"] and kept.options["retainOnDelete"]


def test_another_registry_makes_none_in_ecr(dev: dict[str, Any]) -> None:
    dev["registry"] = {"server": "ghcr.io/acme", "pull_secret": "regcred"}
    found = program(dev, "aws-dev")
    assert not of_kind(found, "Repository")
    (image,) = of_kind(found, "Image").values()
    assert image.inputs["tags"] == ["ghcr.io/acme/aws-dev/assistant:latest"]


def test_spot_stands_on_a_floor_on_demand(dev: dict[str, Any]) -> None:
    pools = of_kind(program(dev, "aws-dev"), "NodePool")
    floor, rest = pools["gpu-pool-floor"].inputs["spec"], pools["gpu-pool"].inputs["spec"]
    assert capacity(floor) == ["on-demand"] and capacity(rest) == ["spot"]
    assert floor["weight"] > rest.get("weight", 0), "the floor is filled first"
    assert [pool["limits"]["nvidia.com/gpu"] for pool in (floor, rest)] == ["1", "1"]
    label = "llmagentos.dev/pool"
    assert floor["template"]["metadata"]["labels"][label] == rest["template"]["metadata"]["labels"][label]


@pytest.mark.parametrize("floor", [0, 1, 2, 9])
def test_floor_and_spot_never_exceed_the_pool(dev: dict[str, Any], floor: int) -> None:
    found = program(variant(dev, {"aws": {"gpu_nodes": {"on_demand_gpus": floor}}}), "aws-dev")
    limits = [int(pool.inputs["spec"]["limits"]["nvidia.com/gpu"]) for pool in of_kind(found, "NodePool").values()]
    assert sum(limits) == 2 and all(limits)


def capacity(spec: dict[str, Any]) -> list[str]:
    requirements = {item["key"]: item["values"] for item in spec["template"]["spec"]["requirements"]}
    return requirements["karpenter.sh/capacity-type"]


@pytest.mark.parametrize(("image", "disks", "plugin"), [
    ("bottlerocket", ["/dev/xvda", "/dev/xvdb"], False), ("al2023", ["/dev/xvda"], True),
])  # fmt: skip
def test_the_device_plugin_runs_where_the_image_lacks_it(
    dev: dict[str, Any], programs: Callable[[str], Program], image: str, disks: list[str], plugin: bool
) -> None:
    found = program(variant(dev, {"aws": {"gpu_nodes": {"image": image}}}), "aws-dev")
    (node_class,) = of_kind(found, "EC2NodeClass").values()
    spec = node_class.inputs["spec"]
    assert spec["amiSelectorTerms"] == [{"alias": f"{image}@latest"}]
    assert [disk["deviceName"] for disk in spec["blockDeviceMappings"]] == disks
    labels = of_kind(found, "NodePool")["gpu-pool"].inputs["spec"]["template"]["metadata"]["labels"]
    selector = of_kind(programs("cluster"), "Release")["device-plugin"].inputs["values"]["nodeSelector"]
    assert (selector.items() <= labels.items()) is plugin


def test_what_nobody_asked_to_be_public_is_internal(dev: dict[str, Any]) -> None:
    service = of_kind(program(dev, "aws-dev"), "Service")["assistant"].inputs
    prefix = "service.beta.kubernetes.io/aws-load-balancer"
    assert service["spec"]["loadBalancerClass"] == "service.k8s.aws/nlb"
    assert service["metadata"]["annotations"][f"{prefix}-scheme"] == "internal"


def test_a_public_entry_has_tls_a_firewall_and_no_other_way_in(programs: Callable[[str], Program]) -> None:
    found = programs("aws-prod")
    ingress = of_kind(found, "Ingress")["assistant"].inputs["metadata"]["annotations"]
    prefix = "alb.ingress.kubernetes.io"
    assert ingress[f"{prefix}/listen-ports"] == '[{"HTTPS": 443}]'
    assert ":certificate/" in ingress[f"{prefix}/certificate-arn"]
    assert ":regional/webacl/" in ingress[f"{prefix}/wafv2-acl-arn"]
    assert of_kind(found, "Service")["assistant"].inputs["spec"]["type"] == "ClusterIP"
    rules = of_kind(found, "WebAcl")["assistant-entry-firewall"].inputs["rules"]
    assert [rule["name"] for rule in rules if "action" in rule and "block" in rule["action"]] == ["rate"]


def test_a_prompt_that_looks_like_an_attack_reaches_the_application(programs: Callable[[str], Program]) -> None:
    rules = of_kind(programs("aws-prod"), "WebAcl")["assistant-entry-firewall"].inputs["rules"]
    counted = {
        override["name"]
        for rule in rules
        for override in rule["statement"].get("managedRuleGroupStatement", {}).get("ruleActionOverrides", [])
        if override["actionToUse"] == {"count": {}}
    }
    assert counted and all(name.endswith("_BODY") for name in counted)


def test_the_creator_of_the_cluster_gets_no_hidden_rights(programs: Callable[[str], Program]) -> None:
    (cluster,) = of_kind(programs("cluster"), "Cluster").values()
    access = cluster.inputs["accessConfig"]
    assert access == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}


def test_controllers_come_after_the_nodes_they_run_on_and_go_after_the_nodes_they_make(
    programs: Callable[[str], Program],
) -> None:
    """Deletion runs against these arrows, and a finalizer whose controller is gone waits for ever."""
    found = programs("cluster")
    by_urn = {resource.urn: resource for resource in found.resources}

    def before(urn: str, seen: set[str]) -> set[str]:
        for needed in by_urn[urn].dependencies if urn in by_urn else ():
            if needed not in seen:
                seen.add(needed)
                before(needed, seen)
        return seen

    releases, addons = of_kind(found, "Release"), of_kind(found, "Addon")
    pool = before(of_kind(found, "NodePool")["general-nodes"].urn, set())
    assert releases["karpenter"].urn in pool and of_kind(found, "EC2NodeClass")["general-nodes-class"].urn in pool
    karpenter = before(releases["karpenter"].urn, set())
    nodes = of_kind(found, "NodeGroup")["system-nodes"].urn
    assert {nodes, addons["coredns"].urn, of_kind(found, "AccessEntry")["karpenter-node-access"].urn} <= karpenter
    assert addons["vpc-cni"].urn in before(nodes, set())
    assert of_kind(found, "NodePool")["general-nodes"].urn in before(addons["metrics-server"].urn, set())
    admin = of_kind(found, "AccessPolicyAssociation")["cluster-access-deployer"].urn
    provider = next(r for r in found.resources if r.type == "pulumi:providers:kubernetes")
    assert admin in provider.dependencies, "without its access entry the deployer cannot reach the cluster"


def test_the_kubeconfig_holds_no_credentials(programs: Callable[[str], Program]) -> None:
    provider = next(r for r in programs("cluster").resources if r.type == "pulumi:providers:kubernetes")
    config = json.loads(provider.inputs["kubeconfig"])
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["args"][:4] == ["--region", "us-east-1", "eks", "get-token"]
    assert config["clusters"][0]["cluster"]["server"].startswith("https://")


@pytest.mark.parametrize("stack", ["aws-dev", "aws-prod"])
def test_the_cluster_is_known_by_its_arn_and_not_by_its_kubeconfig(
    programs: Callable[[str], Program], stack: str
) -> None:
    """An edit of the kubeconfig would otherwise look like another cluster, and replace everything."""
    provider = next(r for r in programs(stack).resources if r.type == "pulumi:providers:kubernetes")
    assert provider.inputs["clusterIdentifier"] == "arn:aws:eks:us-east-1:123456789012:cluster/llmagentos"


def test_credentials_of_another_account_are_refused(name: str, programs: Callable[[str], Program]) -> None:
    provider = next(r for r in programs(name).resources if r.type == "pulumi:providers:aws")
    assert json.loads(provider.inputs["allowedAccountIds"]) == ["123456789012"]


def test_the_name_in_dns_leads_to_what_the_controller_wrote() -> None:
    assert _name_of({"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}) == "lb.example.com"
    assert _name_of({"loadBalancer": {}}) == _name_of(None) == ""
