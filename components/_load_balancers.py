"""What the AWS Load Balancer Controller is told: annotations of Services and Ingresses, and its own objects beside
Gateways.

Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/ (guide/service, guide/ingress, guide/gateway)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

__all__ = ["GATEWAY_CLASS", "Balancer", "balancer_spec", "gateway_spec", "network_notes", "route_spec", "target_spec",
           "web_notes"]  # fmt: skip

GATEWAY_CLASS = "aws-alb"
"""Class of Gateways that become application load balancers; a cluster stack makes it."""
_SERVICE, _INGRESS = "service.beta.kubernetes.io/aws-load-balancer", "alb.ingress.kubernetes.io"
# TLS 1.2 with forward secrecy, and 1.3.
_TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
_READY = "/readyz"


@dataclass(frozen=True, kw_only=True)
class Balancer:
    """A load balancer as its application wants it.

    Attributes:
        application: name of the application, and of its Service.
        host: name that it serves; empty without a name in DNS.
        port: port that callers use.
        certificate_arn: certificate for TLS; none where there is no name.
        firewall_arn: web application firewall; empty for none.
        public: whether the internet reaches it.
        stream_seconds: longest stream, which a pod that goes may still end.
        sources: address ranges that may connect; all that can reach it when empty.
        tags: of the load balancer.
    """

    application: str
    host: str
    port: int
    certificate_arn: pulumi.Input[str] | None
    firewall_arn: pulumi.Input[str]
    public: bool
    stream_seconds: int
    sources: Sequence[str]
    tags: dict[str, str]

    @property
    def scheme(self) -> str:
        """Of ELB: whether it has public addresses."""
        return "internet-facing" if self.public else "internal"

    @property
    def attributes(self) -> dict[str, Any]:
        """Of an application load balancer. A minute without a token would otherwise end a stream."""
        return {
            "idle_timeout.timeout_seconds": max(60, self.stream_seconds),
            "routing.http.drop_invalid_header_fields.enabled": "true",
        }

    @property
    def target_attributes(self) -> dict[str, Any]:
        """Of the pods behind it."""
        return {"deregistration_delay.timeout_seconds": self.stream_seconds}


def network_notes(balancer: Balancer) -> dict[str, Any]:
    """Annotations of a Service with an internal network load balancer."""
    found: dict[str, Any] = {
        f"{_SERVICE}-scheme": "internal",
        f"{_SERVICE}-nlb-target-type": "ip",
        f"{_SERVICE}-backend-protocol": "tcp",
        f"{_SERVICE}-healthcheck-protocol": "http",
        f"{_SERVICE}-healthcheck-path": _READY,
        f"{_SERVICE}-target-group-attributes": _joined(balancer.target_attributes),
        f"{_SERVICE}-additional-resource-tags": _joined(balancer.tags),
    }
    if balancer.certificate_arn is not None:
        found[f"{_SERVICE}-ssl-cert"] = balancer.certificate_arn
        found[f"{_SERVICE}-ssl-ports"] = str(balancer.port)
        found[f"{_SERVICE}-ssl-negotiation-policy"] = _TLS_POLICY
    return found


def web_notes(balancer: Balancer) -> dict[str, Any]:
    """Annotations of an Ingress."""
    found: dict[str, Any] = {
        f"{_INGRESS}/scheme": balancer.scheme,
        f"{_INGRESS}/target-type": "ip",
        f"{_INGRESS}/listen-ports": f'[{{"HTTPS": {balancer.port}}}]',
        f"{_INGRESS}/certificate-arn": balancer.certificate_arn,
        f"{_INGRESS}/ssl-policy": _TLS_POLICY,
        f"{_INGRESS}/healthcheck-path": _READY,
        f"{_INGRESS}/target-group-attributes": _joined(balancer.target_attributes),
        f"{_INGRESS}/load-balancer-attributes": _joined(balancer.attributes),
        f"{_INGRESS}/tags": _joined(balancer.tags),
    }
    if balancer.public:
        found[f"{_INGRESS}/wafv2-acl-arn"] = balancer.firewall_arn
    if balancer.sources:
        found[f"{_INGRESS}/inbound-cidrs"] = ",".join(balancer.sources)
    return found


def balancer_spec(balancer: Balancer) -> dict[str, Any]:
    """Spec of a LoadBalancerConfiguration. Certificates stand here, because a Gateway can name Secrets only."""
    spec: dict[str, Any] = {
        "scheme": balancer.scheme,
        "listenerConfigurations": [{
            "protocolPort": f"HTTPS:{balancer.port}", "defaultCertificate": balancer.certificate_arn,
            "sslPolicy": _TLS_POLICY,
        }],
        "loadBalancerAttributes": _listed(balancer.attributes),
        "tags": dict(balancer.tags),
    }  # fmt: skip
    if balancer.public:
        spec["wafV2"] = {"webACL": balancer.firewall_arn}
    if balancer.sources:
        spec["sourceRanges"] = list(balancer.sources)
    return spec


def target_spec(balancer: Balancer) -> dict[str, Any]:
    """Spec of a TargetGroupConfiguration: the pods of the Service themselves, asked whether they are ready."""
    return {
        "targetReference": {"group": "", "kind": "Service", "name": balancer.application},
        "defaultConfiguration": {
            "targetType": "ip", "protocol": "HTTP",
            "healthCheckConfig": {"healthCheckProtocol": "HTTP", "healthCheckPath": _READY},
            "targetGroupAttributes": _listed(balancer.target_attributes),
        },
    }  # fmt: skip


def gateway_spec(balancer: Balancer) -> dict[str, Any]:
    """Spec of a Gateway with one listener, for routes of its own namespace."""
    parameters = {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": balancer.application}
    listener = {
        "name": "https", "protocol": "HTTPS", "port": balancer.port, "hostname": balancer.host,
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }  # fmt: skip
    return {
        "gatewayClassName": GATEWAY_CLASS, "infrastructure": {"parametersRef": parameters}, "listeners": [listener],
    }  # fmt: skip


def route_spec(balancer: Balancer) -> dict[str, Any]:
    """Spec of an HTTPRoute that leads everything of the host to the Service."""
    return {
        "parentRefs": [{"name": balancer.application, "sectionName": "https"}],
        "hostnames": [balancer.host],
        "rules": [{"backendRefs": [{"name": balancer.application, "port": balancer.port}]}],
    }


def _joined(values: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(values.items()))


def _listed(values: dict[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in sorted(values.items())]
