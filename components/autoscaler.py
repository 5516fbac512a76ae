"""Autoscaler: how many replicas run, and how many may be away at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components import _keda
from components._base import Component, Identity, meta
from components._kubernetes import KubernetesObject
from planner.plan import GatewayPlan, QueuePlan, ScheduledMinimum

__all__ = ["Autoscaler", "AutoscalerArgs"]

@dataclass(frozen=True, kw_only=True)
class AutoscalerArgs:
    """What an autoscaler is given.

    Attributes:
        identity: stack and namespace.
        workload: name of the application or of a part of a model, whose pods carry it as a label.
        target: name of the Deployment where it is another one.
        model: served name, which the metrics of a model server carry; empty for an application.
        kept: replicas of the model that run beside this Deployment all the time, and carry their share of its load.
        replicas_min: replicas kept without load.
        replicas_max: replicas at most.
        cpu_percent: aim of an HPA on CPU; 0 for none.
        prometheus_url: where vLLM's metrics are found, for KEDA; empty for none.
        gateway: the gateway in front of a model; None for none.
        start_seconds: how long a new replica takes to serve; scaling down waits as long, so that it does not flap.
        schedule: minima by hour of the week, which KEDA keeps.
        queue: of an application, which KEDA reads. With ``cpu_percent`` and neither this nor a schedule a plain HPA.
    """

    identity: Identity
    workload: str
    model: str = ""
    kept: int = 0
    replicas_min: int
    replicas_max: int
    cpu_percent: int = 0
    prometheus_url: str = ""
    target: str = ""
    gateway: GatewayPlan | None = None
    start_seconds: int = 60
    schedule: tuple[ScheduledMinimum, ...] | None = None
    queue: QueuePlan | None = None


class Autoscaler(Component):
    """A HorizontalPodAutoscaler, a KEDA ScaledObject or nothing, and always a PodDisruptionBudget.

    Outputs:
        maximum: replicas at most.
    """

    maximum: int

    def __init__(self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        identity, workload = args.identity, args.workload
        KubernetesObject(
            "policy/v1", "PodDisruptionBudget",
            workload,
            metadata=meta(identity, workload, "autoscaler"),
            # maxUnavailable, not minAvailable: with one replica the latter would keep nodes from ever being drained.
            spec={"maxUnavailable": 1, "selector": {"matchLabels": identity.selector(workload)}},
            opts=self.child(),
        )
        if args.cpu_percent and args.schedule is None and args.queue is None:
            KubernetesObject(
                "autoscaling/v2", "HorizontalPodAutoscaler",
                workload,
                metadata=meta(identity, workload, "autoscaler"),
                spec=_hpa_spec(args),
                opts=self.child(),
            )
        elif args.cpu_percent or args.prometheus_url:
            KubernetesObject(
                "keda.sh/v1alpha1", "ScaledObject",
                f"{workload}-scaled",
                metadata=meta(identity, workload, "autoscaler", annotations=_keda.ANNOTATIONS),
                spec=_keda_spec(args),
                opts=self.child(),
            )
        self.maximum = args.replicas_max
        self.register_outputs({"maximum": self.maximum})


def _target(args: AutoscalerArgs) -> dict[str, str]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": args.target or args.workload}


def _keda_spec(args: AutoscalerArgs) -> dict[str, Any]:
    replicas, schedule = (args.replicas_min, args.replicas_max), args.schedule or ()
    if args.cpu_percent:
        return _keda.application_spec(
            target=_target(args), replicas=replicas, cpu_percent=args.cpu_percent, behavior=_behavior(args),
            schedule=schedule, queue=args.queue,
        )
    return _keda.scaled_object_spec(
        target=_target(args),
        namespace=args.identity.namespace,
        model=args.model,
        kept=args.kept,
        replicas=replicas,
        prometheus_url=args.prometheus_url,
        behavior=_behavior(args),
        start_seconds=args.start_seconds,
        gateway=args.gateway,
        schedule=schedule,
    )


def _hpa_spec(args: AutoscalerArgs) -> dict[str, Any]:
    return {
        "scaleTargetRef": _target(args),
        "minReplicas": args.replicas_min,
        "maxReplicas": args.replicas_max,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": args.cpu_percent}},
            }
        ],
        "behavior": _behavior(args),
    }


def _behavior(args: AutoscalerArgs) -> dict[str, Any]:
    """Up at once and by doubling; down one pod a minute after five quiet minutes, or the start time if longer."""
    return {
        "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [_policy("Percent", 100, 15), _policy("Pods", 4, 15)]},
        "scaleDown": {
            "stabilizationWindowSeconds": min(3600, max(300, args.start_seconds)),
            "policies": [_policy("Pods", 1, 60)],
        },
    }


def _policy(kind: str, value: int, period_seconds: int) -> dict[str, Any]:
    return {"type": kind, "value": value, "periodSeconds": period_seconds}
