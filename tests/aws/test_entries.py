"""Ways into an application on AWS: network and application load balancers, and Gateways."""

from __future__ import annotations

from typing import Any

import pytest

from components.aws.aws_endpoint import _name_of
from components.aws.load_balancer_controller import GATEWAY_API_VERSION
from llmos.synth import Program
from tests.aws.stacks import faults, of_kind, plan, program, raw, variant

HOST = "assistant.example.com"
ENTRY = {"host": HOST, "zone_id": "Z0123456789EXAMPLE"}


def entered(**more: Any) -> dict[str, Any]:
    return variant(raw("aws-dev"), {"aws": {"entries": {"assistant": {**ENTRY, **more}}}})


def made(**more: Any) -> Program:
    return program(entered(**more), "aws-dev")


def test_a_network_load_balancer_is_never_public() -> None:
    (fault,) = faults(entered(public=True, kind="nlb"))
    assert "aws.entries.assistant.kind" in fault and "network load balancers take none" in fault


@pytest.mark.parametrize("kind", ["alb", "gateway"])
def test_no_public_entry_without_keys(kind: str) -> None:
    settings = variant(entered(public=True, kind=kind), {"applications": {"assistant": {"endpoint": {"auth": "none"}}}})
    (fault,) = faults(settings)
    assert "must ask callers for a key" in fault


@pytest.mark.parametrize(("public", "kind", "expected"), [
    (False, None, "nlb"), (True, None, "alb"), (False, "alb", "alb"), (False, "gateway", "gateway"),
    (True, "gateway", "gateway"),
])  # fmt: skip
def test_what_leads_to_the_application(public: bool, kind: str | None, expected: str) -> None:
    found = plan(entered(public=public, **({"kind": kind} if kind else {})))
    assert found.aws and [entry.kind for entry in found.aws.entries] == [expected]
    services = {cost.service for cost in found.services if cost.subject == "applications.assistant"}
    assert ("alb-data" in services) is (expected != "nlb") and ("waf-acl" in services) is public


@pytest.mark.parametrize("kind", ["alb", "gateway"])
def test_an_internal_load_balancer_has_tls_and_no_firewall(kind: str) -> None:
    found = made(kind=kind)
    assert not of_kind(found, "WebAcl")
    if kind == "alb":
        notes = of_kind(found, "Ingress")["assistant"].inputs["metadata"]["annotations"]
        assert notes["alb.ingress.kubernetes.io/scheme"] == "internal"
        assert not [note for note in notes if "waf" in note]
        assert ":certificate/" in notes["alb.ingress.kubernetes.io/certificate-arn"]
    else:
        spec = of_kind(found, "LoadBalancerConfiguration")["assistant"].inputs["spec"]
        assert spec["scheme"] == "internal" and "wafV2" not in spec
        assert ":certificate/" in spec["listenerConfigurations"][0]["defaultCertificate"]


def test_a_public_gateway_has_tls_a_firewall_and_only_the_sources_that_are_named() -> None:
    found = made(kind="gateway", public=True, sources=["203.0.113.0/24"])
    spec = of_kind(found, "LoadBalancerConfiguration")["assistant"].inputs["spec"]
    assert spec["scheme"] == "internet-facing" and spec["sourceRanges"] == ["203.0.113.0/24"]
    assert ":regional/webacl/" in spec["wafV2"]["webACL"]
    gateway = of_kind(found, "Gateway")["assistant"].inputs["spec"]
    assert [(entry["protocol"], entry["hostname"]) for entry in gateway["listeners"]] == [("HTTPS", HOST)]
    service = of_kind(found, "Service")["assistant"].inputs["spec"]
    assert not of_kind(found, "Ingress") and service["type"] == "ClusterIP"


def test_the_parts_of_a_gateway_name_each_other_and_the_gateway_is_made_last() -> None:
    found = made(kind="gateway")
    gateway, route = of_kind(found, "Gateway")["assistant"], of_kind(found, "HTTPRoute")["assistant"]
    parameters = gateway.inputs["spec"]["infrastructure"]["parametersRef"]
    assert parameters["name"] in of_kind(found, "LoadBalancerConfiguration")
    assert route.inputs["spec"]["parentRefs"] == [{"name": "assistant", "sectionName": "https"}]
    (backend,) = route.inputs["spec"]["rules"][0]["backendRefs"]
    service = of_kind(found, "Service")["assistant"].inputs
    assert backend == {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    target = of_kind(found, "TargetGroupConfiguration")["assistant"].inputs["spec"]
    assert target["targetReference"]["name"] == backend["name"]
    parts = {of_kind(found, kind)["assistant"].urn for kind in (
        "HTTPRoute", "LoadBalancerConfiguration", "TargetGroupConfiguration")}  # fmt: skip
    assert parts <= set(gateway.dependencies)


def test_the_name_in_dns_leads_to_the_gateways_load_balancer_once_it_has_one() -> None:
    found = made(kind="gateway")
    record = of_kind(found, "Record")["assistant-name-record"].inputs
    assert record["name"] == HOST and record["records"][0].endswith(".elb.us-east-1.amazonaws.com")
    notes = of_kind(found, "Gateway")["assistant"].inputs["metadata"]["annotations"]
    assert notes["pulumi.com/waitFor"] == "jsonpath={.status.addresses[0].value}"
    assert _name_of({"addresses": [{"type": "Hostname", "value": "lb.example.com"}]}) == "lb.example.com"


def test_the_types_of_gateway_api_are_there_before_the_controller_and_its_class_after(cluster: dict[str, Any]) -> None:
    found = program(cluster, "cluster")
    (types,) = [resource for resource in found.resources if resource.type.endswith(":ConfigFile")]
    assert types.inputs["file"].endswith(f"/v{GATEWAY_API_VERSION}/standard-install.yaml")
    controller = of_kind(found, "Release")["load-balancers"]
    assert types.urn in controller.dependencies
    made_class = of_kind(found, "GatewayClass")["load-balancers-class"]
    assert controller.urn in made_class.dependencies
    gateway = of_kind(made(kind="gateway"), "Gateway")["assistant"].inputs["spec"]
    assert gateway["gatewayClassName"] == made_class.inputs["metadata"]["name"]
    assert made_class.inputs["spec"]["controllerName"] == "gateway.k8s.aws/alb"


@pytest.mark.parametrize("kind", ["nlb", "alb"])
def test_prometheus_is_told_of_an_application_with_a_queue(kind: str) -> None:
    scrape = {"by": "service-annotations"}
    queued = {
        "observability": {"prometheus_url": "http://prometheus.monitoring:9090", "scrape": scrape},
        "applications": {"assistant": {"replicas": {"min": 3, "max": 6, "queue": {}}}},
    }  # fmt: skip
    found = program(variant(entered(kind=kind), queued), "aws-dev")
    notes = of_kind(found, "Service")["assistant"].inputs["metadata"]["annotations"]
    assert (notes["prometheus.io/scrape"], notes["prometheus.io/port"]) == ("true", "8000")
    balanced = [note for note in notes if "load-balancer" in note]
    assert bool(balanced) is (kind == "nlb"), "beside what the load balancer is told"
    assert "assistant-scaled" in {resource.name for resource in found.resources}
