"""NetworkPolicy rules: each names one flow that the stack needs, on top of the namespace's deny-everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["from_anywhere", "from_pods", "from_pods_of", "internet", "to_api_server", "to_block", "to_dns", "to_pods"]

# Private, link-local (cloud metadata) and shared address ranges: RFC 1918, RFC 3927, RFC 6598.
_NOT_INTERNET = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"]


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def from_pods(selectors: Sequence[Mapping[str, str]], port: int) -> dict[str, Any]:
    """Ingress from pods of the same namespace with any of these label sets."""
    return {"from": [{"podSelector": {"matchLabels": dict(labels)}} for labels in selectors], "ports": _tcp(port)}


def from_pods_of(namespace: str, labels: Mapping[str, str], port: int) -> dict[str, Any]:
    """Ingress from pods of another namespace with these labels; of the own one where it is empty."""
    return {"from": [_peer(namespace, labels)], "ports": _tcp(port)}


def from_anywhere(port: int) -> dict[str, Any]:
    """Ingress from everywhere: load balancers keep or hide the client's address, so no source can be named."""
    return {"ports": _tcp(port)}


def to_pods(labels: Mapping[str, str], *ports: int, namespace: str = "") -> dict[str, Any]:
    """Egress to pods of the same namespace, or of the one that is named; to all of them without labels."""
    return {"to": [_peer(namespace, labels)], "ports": _tcp(*ports)}


def _peer(namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    peer: dict[str, Any] = {"podSelector": {"matchLabels": dict(labels)} if labels else {}}
    if namespace:
        # Every namespace carries its own name as this label since Kubernetes 1.22.
        peer["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return peer


def to_dns() -> dict[str, Any]:
    """Egress to the cluster's DNS."""
    ports = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    namespace = {"kubernetes.io/metadata.name": "kube-system"}
    return {"to": [{"namespaceSelector": {"matchLabels": namespace}}], "ports": ports}


def to_api_server(cidr: str) -> dict[str, Any]:
    """Egress to the API server, which is no pod that labels could name: to its address where that is known."""
    return {"to": [{"ipBlock": {"cidr": cidr}}] if cidr else [], "ports": _tcp(443, 6443)}


def internet(ports: Sequence[int]) -> dict[str, Any]:
    """Egress to a model hub: public addresses only (NetworkPolicy knows no host names)."""
    return {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": _NOT_INTERNET}}], "ports": _tcp(*ports)}


def to_block(cidr: str, ports: Sequence[int]) -> dict[str, Any]:
    """Egress to a block of addresses."""
    return {"to": [{"ipBlock": {"cidr": cidr}}], "ports": _tcp(*ports)}
