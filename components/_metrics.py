"""How Prometheus learns of a model server: annotations on its Service, or an object of the Prometheus operator."""

from __future__ import annotations

from typing import Any

from planner.plan import ScrapePlan

__all__ = ["pod_monitor_spec", "service_annotations"]


def service_annotations(scrape: ScrapePlan | None, *, port: int) -> dict[str, str]:
    """What Prometheus' own example configuration looks for. On the Service, never on pods: a change of how metrics are
    collected must not start every model server anew."""
    if scrape is None or scrape.by != "service-annotations":
        return {}
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": "/metrics"}


def pod_monitor_spec(scrape: ScrapePlan, *, selector: dict[str, str]) -> dict[str, Any]:
    """Spec of a ``monitoring.coreos.com/v1`` PodMonitor: pods, because each replica has metrics of its own."""
    endpoint = {"port": "http", "path": "/metrics", "interval": f"{scrape.interval_seconds}s"}
    return {"selector": {"matchLabels": selector}, "podMetricsEndpoints": [endpoint]}
