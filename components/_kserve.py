"""A model server as KServe's InferenceService: the same pod, run by another controller.

In KServe's Standard deployment mode (0.16 or newer; RawDeployment before) an InferenceService with containers of its
own becomes a Deployment ``<name>-predictor`` with exactly that pod. KServe names its container ``kserve-container``,
sets the number of replicas only with autoscaler class ``none``, and publishes nothing that is labelled
``cluster-local``.
"""

from __future__ import annotations

from typing import Any

from planner.plan import ModelPlan, ServerPart

__all__ = ["API_VERSION", "LABELS", "annotations", "inference_service_spec", "target"]

API_VERSION = "serving.kserve.io/v1beta1"
LABELS = {"networking.kserve.io/visibility": "cluster-local"}
_CONTAINER = "kserve-container"


def target(model: ModelPlan, part: ServerPart) -> str:
    """Name of the Deployment that an autoscaler scales."""
    return f"{part.name}-predictor" if model.serving == "kserve" else part.name


def annotations(model: ModelPlan) -> dict[str, str]:
    """How KServe runs it. ``external`` leaves the number of replicas to the ScaledObject beside it."""
    scaler = "external" if model.autoscaling == "keda" else "none"
    return {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": scaler,
        # The engine knows no custom resource's readiness by itself.
        "pulumi.com/waitFor": "condition=Ready",
    }


def inference_service_spec(part: ServerPart, deployment: dict[str, Any]) -> dict[str, Any]:
    """Spec from that of the Deployment that it stands for.

    The labels make the pods those of the model's own Service, NetworkPolicy and disruption budget, whatever Service
    KServe makes beside them (a headless one by default, whose port is not that of its pods).
    """
    template = deployment["template"]
    pod = template["spec"]
    server, *others = pod["containers"]
    return {
        "predictor": {
            "minReplicas": part.replicas_min,
            "maxReplicas": part.replicas_max,
            "labels": template["metadata"]["labels"],
            "deploymentStrategy": deployment["strategy"],
            **pod,
            "containers": [{**server, "name": _CONTAINER}, *others],
        }
    }
