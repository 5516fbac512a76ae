"""Stack files of target aws: what is refused, where, and what is decided from the rest."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.plan.aws_cluster import divide
from tests.aws.stacks import ROOT, faults, plan, raw, variant

VPC = {"id": "vpc-0123456789abcdef0", "private_subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]}
ENTRY = {"host": "a.example.com", "zone_id": "Z012345"}
ADMIN = "arn:aws:iam::123456789012:role/a"

WRONG_WORKLOADS: list[tuple[dict[str, Any], str, str]] = [
    ({"aws": {"account": "12345"}}, "aws.account", "string should match"),
    ({"aws": {"region": "virginia"}}, "aws.region", "string should match"),
    ({"aws": {"cluster": None}}, "aws.cluster", "no cluster for them"),
    ({"aws": {"cluster": {"name": "a", "stack": "cluster"}}}, "aws.cluster.stack", "string should match"),
    ({"aws": {"tags": {"aws:mine": "x"}}}, "aws.tags.aws:mine", "belong to AWS"),
    ({"aws": {"gpu_nodes": {"image": "bottlerocket", "device_plugin": True}}}, "aws.gpu_nodes", "itself"),
    ({"aws": {"gpu_nodes": {"image": "al2023", "device_plugin": False}}}, "aws.gpu_nodes", "lacks the device plugin"),
    ({"aws": {"gpu_nodes": {"image": "al2"}}}, "aws.gpu_nodes.image", "did you mean `al2023`?"),
    ({"aws": {"gpu_nodes": {"zones": ["eu-west-1a"]}}}, "aws.gpu_nodes.zones", "of region eu-west-1"),
    ({"aws": {"gpu_nodes": {"capacity_reservations": ["x"]}}}, "aws.gpu_nodes.capacity_reservations.0", "match"),
    ({"gpu_pool": {"spot": False}, "aws": {"gpu_nodes": {"on_demand_gpus": 1}}}, "aws.gpu_nodes.on_demand_gpus",
     "floor under a spot pool"),
    ({"models": {"chat": {"hardware": {"fallbacks": []}}}, "aws": {"gpu_nodes": {"zones": ["us-east-1a"]}}},
     "aws.gpu_nodes.zones", "often out of it"),
    ({"aws": {"entries": {"asistant": ENTRY}}}, "aws.entries.asistant", "did you mean `assistant`?"),
    ({"aws": {"entries": {"assistant": {**ENTRY, "public": True}}},
      "applications": {"assistant": {"endpoint": {"auth": "none"}}}}, "aws.entries.assistant.public", "ask callers"),
    ({"aws": {"entries": {"assistant": ENTRY}}, "applications": {"assistant": {"endpoint": {"type": "ClusterIP"}}}},
     "aws.entries.assistant", "leads to a load balancer"),
    ({"aws": {"entries": {"assistant": {**ENTRY, "certificate": "arn:aws:acm:eu-west-1:123456789012:certificate/a"}}}},
     "aws.entries.assistant.certificate", "of region eu-west-1"),
    ({"builds": {"cache": "registry", "builder": "container"}}, "builds.cache", "cannot be moved"),
    ({"context": "other"}, "context", "takes no context"),
    ({"target": "kubernetes", "context": "c"}, "aws", "goes with target aws"),
]  # fmt: skip
WRONG_CLUSTERS: list[tuple[dict[str, Any], str, str]] = [
    ({"cluster": {"access": None}}, "cluster.access", "valid dictionary"),
    ({"cluster": {"access": {"deployer": {"policy": "view"}, "engineers": {"policy": "edit"}}}}, "cluster",
     "nobody is cluster-admin"),
    ({"cluster": {"access": {"engineers": {"principal": "arn:aws:iam::123456789012:role/llmagentos-deployer"}}}},
     "cluster", "twice"),
    ({"cluster": {"access": {"deployer": {"namespaces": ["a"]}}}}, "cluster.access.deployer", "whole cluster"),
    ({"cluster": {"endpoint": {"public_cidrs": ["0.0.0.0/0"]}}}, "cluster.endpoint", "half of the internet"),
    ({"cluster": {"endpoint": {"public_cidrs": ["10.0.0.1/8"]}}}, "cluster.endpoint", "host bits set"),
    ({"cluster": {"vpc": {"cidr": "10.0.0.0/24"}}}, "cluster.vpc", "run out of addresses"),
    ({"cluster": {"vpc": {"cidr": "8.8.0.0/16"}}}, "cluster.vpc", "not private"),
    ({"cluster": {"vpc": {"zones": ["us-east-1a", "us-east-1a"]}}}, "cluster.vpc", "named twice"),
    ({"cluster": {"vpc": {"zones": ["us-east-1a", "eu-west-1b"]}}}, "cluster.vpc.zones", "of region eu-west-1"),
    ({"cluster": {"vpc": VPC}}, "cluster.vpc", "belong to a VPC that is made"),
    ({"cluster": {"log_days": 100}}, "cluster.log_days", "input should be 1, 3, 5"),
    ({"cluster": {"kubernetes_version": "1.21"}}, "cluster.kubernetes_version", "string should match"),
    ({"cluster": {"addon_versions": {"cilium": "v1"}}}, "cluster", "the add-ons are"),
    ({"cluster": {"pull_through": {"registries": ["docker-hub"]}}}, "cluster.pull_through", "go together"),
    ({"cluster": {"system_nodes": {"instance_types": ["g6.xlarge"]}}}, "cluster.system_nodes.instance_types",
     "machine for models"),
    ({"cluster": {"general_nodes": {"instance_types": ["m7g.large"]}}}, "cluster.general_nodes.instance_types",
     "arm64"),
    ({"cluster": {"general_nodes": {"instance_types": ["m7i.xlarg"]}}}, "cluster.general_nodes.instance_types",
     "did you mean `m7i.xlarge`?"),
    ({"aws": {"cluster": "other"}}, "aws.cluster", "takes no other"),
    ({"applications": {"a": {"image": {"build": "./app"}}}}, "applications", "makes a cluster only"),
    ({"target": "local"}, "cluster", "`cluster` goes with target aws"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stack", "changes", "path", "words"),
    [("aws-dev", *row) for row in WRONG_WORKLOADS] + [("cluster", *row) for row in WRONG_CLUSTERS],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_file_is_refused_once_at_its_place(stack: str, changes: dict[str, Any], path: str, words: str) -> None:
    found = [fault for fault in faults(variant(raw(stack), changes)) if words in fault]
    assert len(found) == 1, faults(variant(raw(stack), changes))
    assert found[0].split(": ")[1] == path
    assert "\n  To fix: " in found[0]


@pytest.mark.parametrize("stack", ["aws-dev", "cluster"])
def test_the_examples_are_accepted(stack: str) -> None:
    assert faults(raw(stack)) == []


def test_a_stack_without_applications_and_cluster_is_refused(dev: dict[str, Any]) -> None:
    del dev["applications"]
    assert any("`applications` is missing" in fault for fault in faults(dev))


def test_plans_are_the_same_every_time(dev: dict[str, Any]) -> None:
    assert plan(dev).to_json() == plan(raw("aws-dev")).to_json()
    assert plan(raw("cluster"), "cluster").to_json() == plan(raw("cluster"), "cluster").to_json()


def test_an_existing_vpc_is_taken_as_it_is(cluster: dict[str, Any]) -> None:
    cluster["cluster"]["vpc"] = VPC
    found = plan(cluster, "cluster")
    assert found.cluster and found.cluster.network.vpc_id == VPC["id"] and not found.cluster.network.subnets
    assert not [cost for cost in found.services if cost.subject == "cluster.vpc"]


@given(
    prefix=st.integers(16, 20), zones=st.sampled_from([("a", "b"), ("a", "b", "c")]), host=st.integers(0, 15)
)
def test_subnets_lie_within_their_network_and_never_overlap(prefix: int, zones: tuple[str, ...], host: int) -> None:
    network = ipaddress.IPv4Network((int(ipaddress.IPv4Address("10.0.0.0")) + (host << (32 - prefix)), prefix))
    made = divide(str(network), zones)
    parts = [ipaddress.IPv4Network(subnet.cidr) for subnet in made]
    assert all(part.subnet_of(network) for part in parts)
    assert not any(a.overlaps(b) for i, a in enumerate(parts) for b in parts[i + 1:])
    assert {(s.zone, s.public) for s in made} == {(zone, public) for zone in zones for public in (True, False)}
    # Load balancers need 8 free addresses; AWS takes 5 of each subnet.
    assert all(part.num_addresses >= 32 for part in parts)


def test_another_region_has_no_prices_unless_they_are_stated(dev: dict[str, Any]) -> None:
    dev["aws"]["region"] = "eu-central-1"
    found = plan(dev)
    assert found.usd_per_month is None
    assert all(cost.usd_per_month_max is None for cost in (*found.costs, *found.services))
    dev["catalog"] = {"instances": [{"name": "g6.xlarge", "usd_per_hour": 1.0, "price_date": "2026-11-01"}]}
    assert [cost.usd_per_month_max for cost in plan(dev).costs] == [730.0]


def test_every_service_price_has_a_source_and_a_day_or_is_unknown() -> None:
    for name in ("aws-dev", "cluster"):
        for cost in plan(raw(name), name).services:
            assert (cost.usd is None) == (cost.price_date == "") == (cost.price_source == ""), cost
            assert cost.usd is None or cost.usd_per_month_max == pytest.approx(cost.usd * cost.quantity_max, abs=0.02)


def test_the_total_is_the_sum_of_its_parts() -> None:
    for name in ("aws-dev", "cluster"):
        found = plan(raw(name), name)
        parts = [cost.usd_per_month_max for cost in (*found.costs, *found.services)]
        assert found.usd_per_month == pytest.approx(sum(part or 0 for part in parts), abs=0.01)


def test_managed_monitoring_has_a_part_whose_price_is_not_known(cluster: dict[str, Any]) -> None:
    cluster["cluster"]["monitoring"] = {"kind": "managed"}
    assert plan(cluster, "cluster").usd_per_month is None


@pytest.mark.parametrize(("port", "expected"), [(None, 443), (8443, 8443)])
def test_a_name_in_dns_brings_port_443_unless_another_is_stated(
    dev: dict[str, Any], port: int | None, expected: int
) -> None:
    dev["aws"]["entries"] = {"assistant": ENTRY}
    if port:
        dev["applications"]["assistant"]["endpoint"] = {"port": port}
    assert plan(dev).applications[0].endpoint_port == expected


def test_other_targets_never_load_the_provider() -> None:
    """Its import takes time that nobody else should pay for."""
    code = (
        "import sys; from tests.support import stack_file, synthesised; synthesised(stack_file('dev'));"
        "sys.exit('pulumi_aws' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
