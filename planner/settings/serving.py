"""Settings of what surrounds a model server: the gateway in front of it, and who collects its metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from planner.settings._base import ImageRef, Settings

__all__ = ["Gateway", "GatewayParent", "GatewayQueue", "LlmD", "Scrape"]

Labels = Annotated[dict[str, str], Field(min_length=1)]
KubeName = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]


class GatewayQueue(Settings):
    """The gateway's own measure of requests that wait, which exists also while no model server runs."""

    query: Annotated[str, Field(min_length=1, max_length=2000)]
    """PromQL with exactly one value: requests that wait in the gateway for this model. It must give 0, not nothing,
    when none wait; nothing counts as a failure of the metric, and one replica is started."""
    per_replica: Annotated[float, Field(gt=0, le=1e6, strict=False)] = 5
    """Waiting requests at which another replica is started, as for vLLM's own queue."""


class GatewayParent(Settings):
    """A Gateway object of the Gateway API."""

    name: KubeName
    """Its name."""
    namespace: KubeName | None = None
    """Its namespace; the stack's own by default. Its listener must admit routes from the stack's."""


class LlmD(Settings):
    """llm-d's endpoint picker, which chooses the replica that is least busy and may hold the prompt's beginning."""

    image: ImageRef
    """Image of llm-d's endpoint picker, version 0.9 or newer, by digest."""
    api_server: Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")] | None = None
    """Address block of the API server, which the picker asks for pods; any address on ports 443 and 6443 by default,
    because no label names it."""


class Gateway(Settings):
    """A gateway that holds requests in front of a model, and that applications call instead of the model server."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s@/]+(/[^\s@]*)?$")]
    """Base URL of the OpenAI API at the gateway, without ``/v1``."""
    namespace: KubeName | None = None
    """Namespace of the gateway's pods; the stack's own by default."""
    labels: Labels
    """Labels of the gateway's pods; only they reach the model server."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port that the gateway's pods listen on (behind its Service, which may have another one)."""
    parent: GatewayParent | None = None
    """The Gateway object that a route to the model is attached to; for ``serving: llm-d``."""
    queue: GatewayQueue | None = None
    """What the autoscaler reads while no replica runs; needed for ``replicas: {min: 0}``."""


class Scrape(Settings):
    """Which pods may collect the metrics of model servers, and how they learn of them."""

    by: Literal["pod-monitor", "service-annotations", "none"] = "none"
    """pod-monitor: an object of the Prometheus operator for each model. service-annotations: ``prometheus.io/scrape``
    and the like on the model's Service. none: the collector is configured elsewhere, only the network lets it in."""
    namespace: KubeName = "monitoring"
    """Namespace of the collector's pods."""
    labels: Labels = {"app.kubernetes.io/name": "prometheus"}
    """Labels of the collector's pods; the default is what the Prometheus operator sets."""
    interval_seconds: Annotated[int, Field(ge=5, le=300)] = 15
    """Seconds between two readings; an autoscaler that looks every 30 s then sees a fresh value."""
