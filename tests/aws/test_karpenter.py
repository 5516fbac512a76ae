"""What the cluster is asked for, put to a real API server: NodePools and EC2NodeClasses against Karpenter's own
definitions with their CEL rules, everything else as the server would store it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from llmos.cluster import embedded
from llmos.cluster.info import ClusterInfo
from llmos.engines.shapes import in_namespace
from llmos.kube import Kube, KubeObject, as_list
from llmos.objects import kubernetes_objects
from tests.aws.karpenter_crds import VERSIONS, definitions, gateway_definitions
from tests.aws.stacks import STACKS, program, raw, variant
from tests.aws.transcribed_crds import transcribed
from tests.go_definitions import wait_established

pytestmark = pytest.mark.cluster

KINDS = ("EC2NodeClass", "GatewayClass", "NodeClass", "NodePool")
VARIANTS: dict[str, dict[str, Any]] = {
    "al2023": {"aws": {"gpu_nodes": {"image": "al2023", "image_version": "v20260801"}}},
    "zones": {"aws": {"gpu_nodes": {"zones": ["us-east-1a", "us-east-1b"], "expire_after_hours": 24}}},
    "reservation": {"aws": {"gpu_nodes": {"capacity_reservations": ["cr-0123456789abcdef0"]}}},
    "large disk": {"aws": {"gpu_nodes": {"volume_gib": 16384}}},
    "no floor": {"aws": {"gpu_nodes": {"on_demand_gpus": 0}}},
    "other cluster": {"aws": {"cluster": {"name": "c", "node_role": "r", "subnet_tags": {"a": "b"},
                                          "security_group_tags": {"c": "d"}}}},
}  # fmt: skip
WRONG: dict[str, tuple[str, list[str | int], Any]] = {
    "no session token": ("EC2NodeClass", ["spec", "metadataOptions", "httpTokens"], "sometimes"),
    "a family that there is not": ("EC2NodeClass", ["spec", "amiSelectorTerms", 0, "alias"], "ubuntu@latest"),
    "a disk of another unit": ("EC2NodeClass", ["spec", "blockDeviceMappings", 0, "ebs", "volumeSize"], "80GB"),
    "no role": ("EC2NodeClass", ["spec", "role"], ""),
    "a tag of Karpenter's own": ("EC2NodeClass", ["spec", "tags", "karpenter.sh/nodepool"], "mine"),
    "a label of Karpenter's own": (
        "NodePool", ["spec", "template", "metadata", "labels", "karpenter.sh/nodepool"], "x"
    ),
    "a policy that EKS does not know": ("NodeClass", ["spec", "networkPolicy"], "Deny"),
    "a tag of EKS' own": ("NodeClass", ["spec", "tags", "karpenter.sh/nodepool"], "mine"),
    "a Gateway without listeners": ("Gateway", ["spec", "listeners"], []),
    "a route to a port that there is not": (
        "HTTPRoute", ["spec", "rules", 0, "backendRefs", 0, "port"], 70_000
    ),
    "a load balancer of no scheme": ("LoadBalancerConfiguration", ["spec", "scheme"], "public"),
    "a listener without port": (
        "LoadBalancerConfiguration", ["spec", "listenerConfigurations", 0, "protocolPort"], "HTTPS"
    ),
    "targets of no kind": (
        "TargetGroupConfiguration", ["spec", "defaultConfiguration", "targetType"], "lambda"
    ),
    "a weight out of range": ("NodePool", ["spec", "weight"], 1000),
    "an age without unit": ("NodePool", ["spec", "template", "spec", "expireAfter"], "720"),
    "a class of another kind": ("NodePool", ["spec", "template", "spec", "nodeClassRef", "group"], ""),
}  # fmt: skip


def objects(settings: dict[str, Any], name: str) -> list[KubeObject]:
    return kubernetes_objects(program(settings, name))


@pytest.fixture(scope="module", params=VERSIONS)
def kube(request: pytest.FixtureRequest) -> Iterator[Kube]:
    """A cluster of its own: these definitions replace the ones that other tests' nodes are made by."""
    name = "llmos-test-aws"
    embedded.down(name=name)
    try:
        info: ClusterInfo = embedded.up(name=name, real=False)
        kube = Kube(kubectl=info.kubectl, kubeconfig=info.kubeconfig, context=info.context)
        for file in (*definitions(request.param), *gateway_definitions()):
            kube.run("apply", "--server-side", "--force-conflicts", "-f", str(file))
        kube.run("apply", "--server-side", "-f", "-", stdin=as_list(transcribed()))
        names = [f"crd/{item['metadata']['name']}" for item in transcribed()]
        names += [f"crd/{kind}.gateway.networking.k8s.io" for kind in ("gatewayclasses", "gateways", "httproutes")]
        names += ["crd/ec2nodeclasses.karpenter.k8s.aws", "crd/nodepools.karpenter.sh"]
        wait_established(kube, *names)
        yield kube
    finally:
        embedded.down(name=name)


def dry_run(kube: Kube, wanted: list[KubeObject]) -> str:
    done = kube.run("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=as_list(wanted), check=False)
    return "" if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("stack", STACKS)
def test_karpenters_objects_pass_its_own_rules(kube: Kube, locks: None, stack: str) -> None:
    found = [item for item in objects(raw(stack), stack) if item["kind"] in KINDS]
    wanted = {"aws-groups": set(), "aws-auto": {"NodeClass", "NodePool"}, "cluster-auto": {"NodeClass", "NodePool"}}
    of_cluster = {"GatewayClass"} if stack.startswith("cluster") else set()
    assert {item["kind"] for item in found} == wanted.get(stack, {"EC2NodeClass", "NodePool"}) | of_cluster
    assert not found or dry_run(kube, found) == ""


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_so_do_those_of_other_settings(kube: Kube, changes: dict[str, Any]) -> None:
    found = objects(variant(raw("aws-dev"), changes), "aws-dev")
    assert dry_run(kube, [item for item in found if item["kind"] in KINDS]) == ""


@pytest.mark.parametrize(("kind", "path", "value"), WRONG.values(), ids=WRONG)
def test_a_wrong_object_would_be_refused(kube: Kube, kind: str, path: list[str | int], value: Any) -> None:
    stack = {"NodeClass": "aws-auto", "EC2NodeClass": "aws-dev", "NodePool": "aws-dev"}.get(kind, "aws-gateway")
    item = copy.deepcopy(next(item for item in objects(raw(stack), stack) if item["kind"] == kind))
    place: Any = item
    for key in path[:-1]:
        place = place[key] if isinstance(key, int) else place.setdefault(key, {})
    place[path[-1]] = value
    if "namespace" in item["metadata"]:
        item["metadata"]["namespace"] = "default"
    assert "invalid" in dry_run(kube, [item]).lower()


@pytest.mark.parametrize("stack", ["aws-dev", "aws-prod", "aws-auto", "aws-gateway"])
def test_the_server_accepts_everything_of_a_workload(kube: Kube, locks: None, stack: str) -> None:
    """In `default`, because a dry run makes no namespace that the rest could be put into. What Prometheus' operator
    reads is left out: its types come with the cluster stack's chart, and the embedded cluster does not have them."""
    made = [item for item in objects(raw(stack), stack) if item["kind"] != "Namespace"]
    found = [item for item in made if not item["apiVersion"].startswith("monitoring.coreos.com/")]
    assert len(found) > 20
    assert dry_run(kube, [in_namespace(item, "default") for item in found]) == ""
