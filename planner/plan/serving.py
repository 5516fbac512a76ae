"""What surrounds a model server in the plan. Plain frozen values, as in ``planner.plan.types``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from planner.settings import Model, StackSettings

__all__ = ["GatewayPlan", "PickerPlan", "ScrapePlan", "plan_gateway", "plan_picker", "plan_scrape"]


@dataclass(frozen=True, kw_only=True)
class GatewayPlan:
    """The gateway in front of a model. ``namespace`` is empty for the stack's own; ``path`` is that of its URL;
    ``parent`` names the Gateway object, or is empty; ``queue_query`` is empty where no autoscaler reads the gateway's
    queue, ``queue_per_replica`` the waiting requests that another replica is for."""

    url: str
    path: str
    parent: str
    parent_namespace: str
    namespace: str
    labels: dict[str, str]
    port: int
    queue_query: str
    queue_per_replica: float


@dataclass(frozen=True, kw_only=True)
class PickerPlan:
    """llm-d's endpoint picker. ``api_server`` is the address block of the API server, or empty."""

    image: str
    api_server: str


@dataclass(frozen=True, kw_only=True)
class ScrapePlan:
    """Who collects metrics: pods of ``namespace`` with ``labels``; ``by`` says how they learn of a model server."""

    by: str
    namespace: str
    labels: dict[str, str]
    interval_seconds: int


def plan_gateway(model: Model) -> GatewayPlan | None:
    """The stated gateway; none by default, and applications call the model server itself."""
    stated = model.gateway
    if stated is None:
        return None
    return GatewayPlan(
        url=stated.url.rstrip("/"),
        path=urlsplit(stated.url).path.rstrip("/"),
        parent=stated.parent.name if stated.parent else "",
        parent_namespace=(stated.parent.namespace or "") if stated.parent else "",
        namespace=stated.namespace or "",
        labels=dict(sorted(stated.labels.items())),
        port=stated.port,
        queue_query=stated.queue.query if stated.queue else "",
        queue_per_replica=stated.queue.per_replica if stated.queue else 0.0,
    )


def plan_picker(model: Model) -> PickerPlan | None:
    """llm-d's picker, where the model is handed to it."""
    return PickerPlan(image=model.llm_d.image, api_server=model.llm_d.api_server or "") if model.llm_d else None


def plan_scrape(settings: StackSettings) -> ScrapePlan | None:
    """Who collects metrics from the stack's model servers."""
    found = settings.observability.collector
    if found is None:
        return None
    return ScrapePlan(
        by=found.by, namespace=found.namespace, labels=dict(sorted(found.labels.items())),
        interval_seconds=found.interval_seconds,
    )
