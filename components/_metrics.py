"""How Prometheus learns of a workload: annotations on its Service, or an object of the Prometheus operator."""

from __future__ import annotations

from typing import Any

from components._base import Component, Identity, meta
from components._kubernetes import KubernetesObject
from planner.plan import ScrapePlan

__all__ = ["pod_monitor", "service_annotations"]


def service_annotations(scrape: ScrapePlan | None, *, port: int) -> dict[str, str]:
    """What Prometheus' own example configuration looks for. On the Service, never on pods: a change of how metrics are
    collected must not start every pod anew."""
    if scrape is None or scrape.by != "service-annotations":
        return {}
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": "/metrics"}


def pod_monitor(
    component: Component, identity: Identity, name: str, scrape: ScrapePlan | None, *, part: str,
    selector: dict[str, str],
) -> None:
    """A PodMonitor, where the Prometheus operator collects: pods, because each replica has metrics of its own."""
    if scrape is None or scrape.by != "pod-monitor":
        return
    endpoint: dict[str, Any] = {"port": "http", "path": "/metrics", "interval": f"{scrape.interval_seconds}s"}
    KubernetesObject(
        "monitoring.coreos.com/v1", "PodMonitor",
        f"{name}-metrics",
        metadata=meta(identity, name, part),
        spec={"selector": {"matchLabels": selector}, "podMetricsEndpoints": [endpoint]},
        opts=component.child(),
    )
