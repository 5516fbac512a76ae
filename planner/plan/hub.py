"""How each model reaches the hub: the stack's settings under its own, and where the network has to let it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from planner.settings import Model, StackSettings
from planner.settings._base import service_namespace
from planner.settings.weights import Destination, Hub

__all__ = ["EgressPlan", "HubPlan", "plan_hub"]

# What pods of a cluster ask each other directly, whatever proxy there is: themselves, and names of Services.
_NEVER_PROXIED = ("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local")


@dataclass(frozen=True, kw_only=True)
class EgressPlan:
    """One destination of downloads: a ``cidr``, pods of a ``namespace``, or with neither public addresses."""

    cidr: str = ""
    namespace: str = ""
    labels: dict[str, str]
    ports: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class HubPlan:
    """How the hub is reached. Empty texts stand for the hub's own address, no proxy and no certificates; references to
    Secrets are (name, key), ``ca`` is (``configMap`` or ``secret``, name, key)."""

    endpoint: str
    token: tuple[str, str]
    ca: tuple[str, str, str]
    proxy: str
    proxy_secret: tuple[str, str]
    no_proxy: tuple[str, ...]
    egress: tuple[EgressPlan, ...]


def plan_hub(settings: StackSettings, model: Model) -> HubPlan:
    """The hub as a model reaches it. The keys that the model states go before those of the stack."""
    own = model.hub.model_dump(exclude_unset=True) if model.hub else {}
    hub = settings.hub.model_copy(update={key: getattr(model.hub, key) for key in own})
    token = model.token or hub.token
    secret = hub.proxy_secret
    return HubPlan(
        endpoint=(hub.endpoint or "").rstrip("/"),
        token=(token.secret, token.key) if token else ("", ""),
        ca=_ca(hub),
        proxy=(hub.proxy or "").rstrip("/"),
        proxy_secret=(secret.secret, secret.key) if secret else ("", ""),
        no_proxy=(*_NEVER_PROXIED, *hub.no_proxy) if hub.proxy or secret else (),
        egress=_egress(hub),
    )


def _ca(hub: Hub) -> tuple[str, str, str]:
    if hub.ca is None:
        return ("", "", "")
    return ("configMap" if hub.ca.config_map else "secret", hub.ca.config_map or hub.ca.secret or "", hub.ca.key)


def _egress(hub: Hub) -> tuple[EgressPlan, ...]:
    """What is stated; else where the proxy is, which then carries everything; else where the mirror is, or the hub."""
    if hub.egress:
        return tuple(_stated(destination) for destination in hub.egress)
    url = hub.proxy or hub.endpoint
    return (_of_url(url) if url else EgressPlan(labels={}, ports=(443,)),)


def _stated(destination: Destination) -> EgressPlan:
    return EgressPlan(
        cidr=destination.cidr or "", namespace=destination.namespace or "",
        labels=dict(sorted(destination.labels.items())), ports=destination.ports,
    )


def _of_url(url: str) -> EgressPlan:
    parts = urlsplit(url)
    ports = (parts.port or (443 if parts.scheme == "https" else 80),)
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        # A name outside the cluster: of `name.namespace` the second part would be taken for a namespace.
        inside = service_namespace(url) if ".svc" in (parts.hostname or "") else ""
        return EgressPlan(namespace=inside, labels={}, ports=ports)
    return EgressPlan(cidr=f"{address}/{address.max_prefixlen}", labels={}, ports=ports)
