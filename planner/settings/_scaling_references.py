"""Faults between what scales and what it is scaled by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from planner.faults import Fault
from planner.settings._base import service_namespace
from planner.settings._raw import map_at

__all__ = ["scaling_faults"]

# Settings of an application's replicas that KEDA does.
_BY_KEDA = ("history", "queue")


def scaling_faults(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """Autoscaling that nothing in the cluster would do, or that would read nothing."""
    yield from _models(raw, where)
    yield from _applications(raw, where)


def _models(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    for name, model in map_at(raw, "models").items():
        if not isinstance(model, Mapping) or model.get("autoscaling") != "keda":
            continue
        if raw.get("target") == "local":
            yield Fault(
                what="the embedded cluster has no KEDA", where=f"{where}: models.{name}.autoscaling",
                nearest="allowed on target local: fixed", fix="set autoscaling: fixed in this stack",
            )
        elif not map_at(raw, "observability").get("prometheus_url"):
            yield Fault(
                what="autoscaling keda reads vLLM's queue from Prometheus, and none is named",
                where=f"{where}: models.{name}.autoscaling", fix="add observability: {prometheus_url: http://...}",
            )
        else:
            yield from _uncollected(map_at(raw, "observability"), f"{where}: models.{name}.autoscaling")


def _uncollected(observability: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """Model servers admit nobody but their applications, so a Prometheus that is not named collects nothing."""
    url = observability["prometheus_url"]
    if observability.get("scrape") or not isinstance(url, str) or service_namespace(url):
        return
    yield Fault(
        what="autoscaling keda reads what Prometheus has collected, and the network lets no collector reach the model "
        "servers: prometheus_url does not say in which namespace it runs",
        where=where,
        fix="add observability.scrape: {namespace: <of Prometheus' pods>, labels: {<of these pods>}}",
    )


def _applications(raw: Mapping[str, Any], where: str) -> Iterator[Fault]:
    for name, application in map_at(raw, "applications").items():
        replicas = application.get("replicas") if isinstance(application, Mapping) else None
        asked = [key for key in _BY_KEDA if isinstance(replicas, Mapping) and replicas.get(key) is not None]
        if raw.get("target") == "local":
            yield from (_without_keda(key, f"{where}: applications.{name}.replicas.{key}") for key in asked)
        elif "queue" in asked and not map_at(raw, "observability").get("prometheus_url"):
            yield Fault(
                what="the queue of an application is read from Prometheus, and none is named",
                where=f"{where}: applications.{name}.replicas.queue",
                nearest="without Prometheus: min, max and cpu_percent",
                fix="add observability: {prometheus_url: http://...}",
            )


def _without_keda(key: str, where: str) -> Fault:
    return Fault(
        what=f"the embedded cluster has no KEDA for the {key} of an application", where=where,
        nearest="allowed on target local: min, max and cpu_percent", fix=f"leave the {key} out of this stack",
    )
