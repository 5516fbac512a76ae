"""How a container reaches the model hub: mirror, token, certificates and proxy, and the network rules to match."""

from __future__ import annotations

from typing import Any

from components._network import internet, to_block, to_dns, to_pods
from planner.plan import EgressPlan, HubPlan

__all__ = ["ca_volume", "hub_egress", "hub_environment", "hub_mounts", "hub_secrets"]

_CA_FOLDER = "/etc/hub-ca"


def hub_environment(hub: HubPlan) -> dict[str, str]:
    """Variables as huggingface_hub, requests, httpx, curl and Python's own library read them.

    A mirror serves plain files; the hub's own storage protocol (Xet) would go round it to another host.
    """
    mirror = hub.endpoint.startswith("http")
    values = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1"} if mirror else {}
    if hub.ca[0]:
        file = f"{_CA_FOLDER}/{hub.ca[2]}"
        values |= {"REQUESTS_CA_BUNDLE": file, "SSL_CERT_FILE": file}
    if hub.proxy:
        values |= {"HTTPS_PROXY": hub.proxy, "HTTP_PROXY": hub.proxy}
    if hub.no_proxy:
        values["NO_PROXY"] = ",".join(hub.no_proxy)
    return values


def hub_secrets(hub: HubPlan) -> dict[str, tuple[str, str]]:
    """Variables whose values stand in Secrets, as (name, key)."""
    secrets = {"HF_TOKEN": hub.token} if hub.token[0] else {}
    if hub.proxy_secret[0]:
        secrets |= {"HTTPS_PROXY": hub.proxy_secret, "HTTP_PROXY": hub.proxy_secret}
    return secrets


def ca_volume(hub: HubPlan) -> list[dict[str, Any]]:
    """The volume with the certificates, where there are any."""
    kind, name, key = hub.ca
    if not kind:
        return []
    reference = {"name": name} if kind == "configMap" else {"secretName": name}
    return [{"name": "hub-ca", kind: {**reference, "items": [{"key": key, "path": key}]}}]


def hub_mounts(hub: HubPlan) -> list[dict[str, Any]]:
    """Its mount."""
    return [{"name": "hub-ca", "mountPath": _CA_FOLDER, "readOnly": True}] if hub.ca[0] else []


def hub_egress(hub: HubPlan) -> list[dict[str, Any]]:
    """To the cluster's DNS, and to where the hub, its mirror or the proxy is."""
    return [to_dns(), *(_rule(destination) for destination in hub.egress)]


def _rule(destination: EgressPlan) -> dict[str, Any]:
    if destination.cidr:
        return to_block(destination.cidr, destination.ports)
    if destination.namespace:
        return to_pods(destination.labels, *destination.ports, namespace=destination.namespace)
    return internet(destination.ports)
