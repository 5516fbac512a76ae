"""Cases of the rule on firewalls in front of what the internet reaches on AWS."""

from __future__ import annotations

from typing import Any

_ARN = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/app/12345678"
_NOTES = "alb.ingress.kubernetes.io"
_INGRESS = f'metadata.annotations["{_NOTES}/wafv2-acl-arn"]'
_SERVICE = "service.beta.kubernetes.io/aws-load-balancer-scheme"


def _ingress(**notes: Any) -> list[Any]:
    return [("Ingress/app", "metadata.annotations", {f"{_NOTES}/{key}": value for key, value in notes.items()})]


def _gateway(**spec: Any) -> list[Any]:
    return [("LoadBalancerConfiguration/app", "", {
        "apiVersion": "gateway.k8s.aws/v1", "kind": "LoadBalancerConfiguration",
        "metadata": {"name": "app", "namespace": "assistant"}, "spec": spec,
    })]  # fmt: skip


def _service(scheme: str) -> list[Any]:
    return [("Service/app", "metadata.annotations", {_SERVICE: scheme})]


FAIL = [
    ("public-firewall", _ingress(scheme="internet-facing"), _INGRESS, {}),
    ("public-firewall", _ingress(scheme="internet-facing", **{"wafv2-acl-arn": ""}), _INGRESS, {}),
    ("public-firewall", _gateway(scheme="internet-facing"), "spec.wafV2.webACL", {}),
    ("public-firewall", _service("internet-facing"), f'metadata.annotations["{_SERVICE}"]', {}),
]
PASS = [
    ("public-firewall", _ingress(scheme="internet-facing", **{"wafv2-acl-arn": _ARN}), {}),
    ("public-firewall", _ingress(scheme="internal"), {}),
    ("public-firewall", _gateway(scheme="internet-facing", wafV2={"webACL": _ARN}), {}),
    ("public-firewall", _gateway(), {}),
    ("public-firewall", _service("internal"), {}),
]
UNKNOWN_AT = [("public-firewall", "Ingress/app", f'metadata.annotations["{_NOTES}/scheme"]', {})]
