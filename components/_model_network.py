"""Who may reach a model server, and whom it may reach."""

from __future__ import annotations

from typing import Any

from components._base import Identity
from components._hub import hub_egress
from components._network import from_pods, from_pods_of, to_pods
from components._placement import model_selector
from planner.plan import ModelPlan, ScrapePlan

__all__ = ["fetch_flows", "picker_name", "server_flows", "way_in"]


def picker_name(model: ModelPlan) -> str:
    """Name of the endpoint picker beside a model server, which reads its metrics."""
    return f"{model.name}-picker"


def server_flows(identity: Identity, model: ModelPlan, *, port: int, scrape: ScrapePlan | None) -> dict[str, Any]:
    """NetworkPolicy: from the applications that use the model, or the gateway in front of it, and from who collects
    metrics; to the model hub where its own pods download the weights, and otherwise nowhere."""
    ingress = []
    if model.gateway:
        ingress = [from_pods_of(model.gateway.namespace, model.gateway.labels, port)]
        if model.serving == "llm-d":
            ingress.append(from_pods([identity.selector(picker_name(model))], port))
    elif model.clients:
        ingress = [from_pods([identity.selector(client) for client in model.clients], port)]
    if scrape:
        ingress.append(from_pods_of(scrape.namespace, scrape.labels, port))
    downloads = model.engine == "vllm" and model.weights.download in ("server", "init")
    return {
        "podSelector": {"matchLabels": model_selector(identity, model)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": hub_egress(model.hub) if downloads else [],
    }


def fetch_flows(identity: Identity, model: ModelPlan, *, name: str) -> dict[str, Any]:
    """NetworkPolicy of the Job that fetches weights: nobody reaches it, and it reaches the hub."""
    return {
        "podSelector": {"matchLabels": identity.selector(name)},
        "policyTypes": ["Ingress", "Egress"],
        "egress": hub_egress(model.hub),
    }


def way_in(identity: Identity, model: ModelPlan, *, port: int) -> dict[str, Any]:
    """Egress rule of a client: to the gateway where there is one, else to the model server."""
    if model.gateway:
        return to_pods(model.gateway.labels, model.gateway.port, namespace=model.gateway.namespace)
    return to_pods(model_selector(identity, model), port)
