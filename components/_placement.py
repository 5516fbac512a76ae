"""Where the pods of a model server may stand: instance types, ways of purchase, and distance from each other."""

from __future__ import annotations

from typing import Any

from components._base import Identity
from planner.plan import ModelPlan, ServerPart

__all__ = ["model_selector", "part_labels", "placement"]

_INSTANCE_TYPE = "node.kubernetes.io/instance-type"
_CAPACITY = "karpenter.sh/capacity-type"
_ZONE, _HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
_MODEL_LABEL = "llmagentos.dev/model"


def model_selector(identity: Identity, model: ModelPlan) -> dict[str, str]:
    """Labels of all pods of the model. Selectors of Deployments must not overlap, so the parts of a divided model have
    names of their own and share another label."""
    if len(model.parts) == 1:
        return identity.selector(model.name)
    return {_MODEL_LABEL: model.name, "app.kubernetes.io/instance": identity.stack}


def part_labels(identity: Identity, model: ModelPlan, part: ServerPart) -> dict[str, str]:
    """Labels of the pods of one Deployment."""
    shared = {_MODEL_LABEL: model.name} if len(model.parts) > 1 else {}
    return {**identity.labels(part.name, "model-server"), **shared}


def placement(
    identity: Identity, model: ModelPlan, part: ServerPart, *, node_selector: dict[str, str]
) -> dict[str, Any]:
    """Node selector, affinity and spread of the pods of one Deployment.

    The part off spot names its ways of purchase. The other does not: Karpenter takes spot where there is some, since it
    is cheaper, and a machine on demand where there is none.
    """
    expressions = []
    selector = dict(node_selector)
    if model.fallbacks:
        types = [model.instance_type, *model.fallbacks]
        expressions.append({"key": _INSTANCE_TYPE, "operator": "In", "values": types})
    else:
        selector[_INSTANCE_TYPE] = model.instance_type
    if part.on_demand:
        expressions.append({"key": _CAPACITY, "operator": "NotIn", "values": ["spot"]})
    affinity: dict[str, Any] = {}
    if expressions:
        required = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": required}
    if model.one_per_node:
        apart = {"topologyKey": _HOST, "labelSelector": {"matchLabels": model_selector(identity, model)}}
        affinity["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
    made: dict[str, Any] = {"nodeSelector": selector}
    if affinity:
        made["affinity"] = affinity
    if model.zones > 1:
        made["topologySpreadConstraints"] = _spread(model_selector(identity, model), model.zones)
    return made


def _spread(selector: dict[str, str], zones: int) -> list[dict[str, Any]]:
    """Over the zones as demanded; over nodes where that is possible, as every workload is."""
    common = {"maxSkew": 1, "labelSelector": {"matchLabels": selector}}
    return [
        # Without minDomains the zones that hold nothing yet would not count, and all replicas could stand in one.
        {**common, "topologyKey": _ZONE, "whenUnsatisfiable": "DoNotSchedule", "minDomains": zones},
        {**common, "topologyKey": _HOST, "whenUnsatisfiable": "ScheduleAnyway"},
    ]
