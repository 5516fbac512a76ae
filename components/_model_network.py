"""Who may reach a model server, and whom it may reach."""

from __future__ import annotations

from typing import Any

from components._base import Identity
from components._network import from_pods, from_pods_of, internet_https, to_dns, to_pods
from planner.plan import ModelPlan, ScrapePlan

__all__ = ["server_flows", "way_in"]


def server_flows(identity: Identity, model: ModelPlan, *, port: int, scrape: ScrapePlan | None) -> dict[str, Any]:
    """NetworkPolicy: from the applications that use the model, or the gateway in front of it, and from who collects
    metrics; to DNS and the model hub where weights are downloaded."""
    ingress = []
    if model.gateway:
        ingress = [from_pods_of(model.gateway.namespace, model.gateway.labels, port)]
    elif model.clients:
        ingress = [from_pods([identity.selector(client) for client in model.clients], port)]
    if scrape:
        ingress.append(from_pods_of(scrape.namespace, scrape.labels, port))
    return {
        "podSelector": {"matchLabels": identity.selector(model.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": [to_dns(), internet_https()] if model.engine == "vllm" else [],
    }


def way_in(identity: Identity, model: ModelPlan, *, port: int) -> dict[str, Any]:
    """Egress rule of a client: to the gateway where there is one, else to the model server."""
    if model.gateway:
        return to_pods(model.gateway.labels, model.gateway.port, namespace=model.gateway.namespace)
    return to_pods(identity.selector(model.name), port)
