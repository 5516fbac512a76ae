"""The KEDA ScaledObject of a model server, or of an application with a schedule or a queue.

What its fields do was read in KEDA's source (2026-08): an empty result of a query counts as 0 unless
``ignoreNullValues`` is false, and then as an error; the HPA takes the largest of all metrics; ``fallback`` (with a
behaviour: KEDA 2.17 or newer) replaces a metric that failed more than ``failureThreshold`` times, and also starts a
workload that is at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.plan import GatewayPlan, QueuePlan, ScheduledMinimum

__all__ = ["ANNOTATIONS", "application_spec", "scaled_object_spec"]

# KEDA makes the HPA. It takes over one of that name that exists already, instead of refusing to start beside it.
# Its HPA inherits labels, and with that of an ApplySet kubectl would prune it as an object that nobody applied.
ANNOTATIONS = {
    "scaledobject.keda.sh/transfer-hpa-ownership": "true",
    "scaledobject.keda.sh/hpa-excluded-labels": "applyset.kubernetes.io/part-of",
}

# Requests waiting per replica, and share of the KV cache in use, at which another model server is started. Queue and
# cache say that a model server is full; its CPU does not. Values: vLLM production stack and KEDA guides use 5 and 0.8.
_QUEUE_PER_REPLICA = 5
_KV_CACHE_SHARE = 0.8
# A metric is read every 30 s by default: three failures are a minute and a half, longer than Prometheus restarts.
_FAILURES = 3


def scaled_object_spec(
    *,
    target: dict[str, str],
    namespace: str,
    model: str,
    replicas: tuple[int, int],
    prometheus_url: str,
    behavior: dict[str, Any],
    start_seconds: int,
    gateway: GatewayPlan | None,
    schedule: Sequence[ScheduledMinimum] = (),
    kept: int = 0,
) -> dict[str, Any]:
    """Spec that scales on vLLM's queue and KV cache, on the gateway's queue where there is one, and by the clock.

    Args:
        target: the workload, as ``scaleTargetRef`` wants it.
        namespace: where the model server runs.
        model: its served name, the ``model_name`` of vLLM's metrics.
        replicas: least and most.
        prometheus_url: where the metrics are.
        behavior: of the HPA that KEDA makes.
        start_seconds: how long a replica takes to serve; without requests one is kept as long before the last goes.
        gateway: with a queue of its own it is asked as well, and alone decides on the first replica.
        kept: replicas that run beside the workload all the time: they are not its to start, and their metrics are there
            also while it has none.
        schedule: minima by hour of the week, above the least.
    """
    least, most = replicas
    # By the model's name and not by the pods': a pattern for the pods of `chat` also fits those of `chat-large`.
    labels = f'{{namespace="{namespace}",model_name="{model}"}}'
    # Without replicas vLLM has no metrics, and silence is then no failure.
    silence = least == 0 and not kept
    cache = f"sum(vllm:kv_cache_usage_perc{labels})"
    if kept:
        cache = f"clamp_min({cache} - {kept * _KV_CACHE_SHARE:g}, 0)"
    triggers = [
        _trigger(prometheus_url, f"sum(vllm:num_requests_waiting{labels})", _QUEUE_PER_REPLICA, ignore_null=silence),
        _trigger(prometheus_url, cache, _KV_CACHE_SHARE, ignore_null=silence),
    ]
    if gateway and gateway.queue_query:
        triggers.append(
            _trigger(prometheus_url, gateway.queue_query, gateway.queue_per_replica, ignore_null=False)
        )
    triggers += _cron(schedule, kept=kept)
    return {
        "scaleTargetRef": target,
        "minReplicaCount": least,
        "maxReplicaCount": most,
        "cooldownPeriod": max(300, start_seconds),
        "advanced": {"horizontalPodAutoscalerConfig": {"name": target["name"], "behavior": behavior}},
        # Metrics that are lost are no reason to stop servers, nor to buy all that may be bought: what runs goes on.
        "fallback": {
            "failureThreshold": _FAILURES, "replicas": max(1, least), "behavior": "currentReplicasIfHigher",
        },
        "triggers": triggers,
    }


def application_spec(
    *,
    target: dict[str, str],
    replicas: tuple[int, int],
    cpu_percent: int,
    behavior: dict[str, Any],
    schedule: Sequence[ScheduledMinimum],
    queue: QueuePlan | None = None,
) -> dict[str, Any]:
    """Spec of an application that is scaled on CPU, and has a queue or minima by hour of the week: an HPA reads neither
    Prometheus nor a clock, and KEDA writes the HPA that can.

    There is no ``fallback``: as long as one of its metrics cannot be read an HPA takes no replica away, and starts more
    by the others (``computeReplicasForMetrics`` of Kubernetes' horizontal controller, 1.35).
    """
    least, most = replicas
    triggers: list[dict[str, Any]] = [
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(cpu_percent)}}
    ]
    if queue:
        triggers.append(_trigger(queue.prometheus_url, queue.query, queue.per_replica, ignore_null=False))
    return {
        "scaleTargetRef": target,
        "minReplicaCount": least,
        "maxReplicaCount": most,
        "advanced": {"horizontalPodAutoscalerConfig": {"name": target["name"], "behavior": behavior}},
        "triggers": [*triggers, *_cron(schedule)],
    }


def _cron(schedule: Sequence[ScheduledMinimum], *, kept: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "type": "cron",
            "name": f"schedule-{number}",
            "metadata": {
                "timezone": "UTC", "start": window.start, "end": window.end,
                "desiredReplicas": str(window.replicas - kept),
            },
        }
        for number, window in enumerate(schedule, start=1)
        if window.replicas > kept
    ]


def _trigger(url: str, query: str, threshold: float, *, ignore_null: bool) -> dict[str, Any]:
    return {
        "type": "prometheus",
        # The sum over all replicas, divided by their number: the fallback is exact with this kind of metric only.
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": url,
            "query": query,
            "threshold": f"{threshold:g}",
            "ignoreNullValues": "true" if ignore_null else "false",
        },
    }
