"""Two or more replicas that survive a drained node, and disruption budgets and autoscalers that can work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from ._model import KubeObject, Pod, Stack
from ._node import Node
from ._rule import Check, Context, Option, Rule, Violation, each_object
from ._select import selects

__all__ = ["RULES"]

_DISRUPTIONS = "https://kubernetes.io/docs/concepts/workloads/pods/disruptions/"
_SPREAD = "https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/"
_HPA = "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/"
_REPLICATED = ("Deployment", "StatefulSet", "DeploymentConfig", "ReplicaSet")


def _replicated(stack: Stack) -> Iterator[KubeObject]:
    return stack.of_kind(*_REPLICATED)


def _may_have_several(found: KubeObject) -> bool:
    """Unless it says 0 or 1. A workload that says nothing leaves the number to an autoscaler or to a person."""
    number = found.root.get("spec", "replicas").number
    return number is None or number > 1


def _scaled(found: KubeObject, stack: Stack) -> bool:
    return any(_target(scaler) == found.name for scaler in stack.of_kind("HorizontalPodAutoscaler", "ScaledObject"))


def _target(scaler: KubeObject) -> str | None:
    return scaler.root.get("spec", "scaleTargetRef", "name").text


def _budgets(stack: Stack, pod: Pod) -> Iterator[KubeObject]:
    for budget in stack.of_kind("PodDisruptionBudget"):
        selector = budget.root.get("spec", "selector").value
        if budget.namespace == pod.owner.namespace and selects(selector, pod.labels):
            yield budget


def _has_budget(found: KubeObject, context: Context) -> Iterable[Violation]:
    if not _may_have_several(found) and not _scaled(found, context.stack):
        return
    for pod in found.pods:
        if not any(True for _ in _budgets(context.stack, pod)):
            yield Violation(path="", message="no PodDisruptionBudget selects its pods")


def _spread(found: KubeObject, context: Context) -> Iterable[Violation]:
    if not _may_have_several(found):
        return
    for pod in found.pods:
        constraints = pod.spec.get("topologySpreadConstraints")
        if not any(True for _ in constraints.elements()) and not _kept_apart(pod):
            yield Violation(path=constraints.path, message="its replicas may all land on one node")


def _kept_apart(pod: Pod) -> bool:
    """Whether a podAntiAffinity term selects the pod's own replicas, in their own namespace."""
    apart = pod.spec.get("affinity", "podAntiAffinity")
    terms = list(apart.get("requiredDuringSchedulingIgnoredDuringExecution").elements())
    preferred = apart.get("preferredDuringSchedulingIgnoredDuringExecution")
    terms += [weighted.get("podAffinityTerm") for weighted in preferred.elements()]
    return any(
        selects(term.get("labelSelector").value, pod.labels)
        and pod.owner.namespace in ([node.text for node in term.get("namespaces").elements()] or [pod.owner.namespace])
        for term in terms
    )


def _minimum(found: KubeObject, context: Context) -> Iterable[Violation]:
    node = found.root.get("spec", "replicas")
    minimum = context.config["minimum"]
    if node.number is not None and node.number < minimum and not _scaled(found, context.stack):
        yield Violation(path=node.path, message=f"it has fewer than {minimum:g} replicas")


def _scaler_minimum(found: KubeObject, context: Context) -> Iterable[Violation]:
    field = "minReplicas" if found.kind == "HorizontalPodAutoscaler" else "minReplicaCount"
    node = found.root.get("spec", field)
    minimum = context.config["minimum"]
    if node.number is not None and node.number < minimum:
        yield Violation(path=node.path, message=f"the autoscaler may go below {minimum:g} replicas")


def _scaler_range(found: KubeObject, context: Context) -> Iterable[Violation]:
    spec = found.root.get("spec")
    low, high = spec.get("minReplicas"), spec.get("maxReplicas")
    if low.number is not None and high.number is not None and low.number >= high.number:
        yield Violation(path=high.path, message="the autoscaler's maximum is not above its minimum, so it never scales")


def _can_disrupt(found: KubeObject, context: Context) -> Iterable[Violation]:
    spec = found.root.get("spec")
    for node, blocks in ((spec.get("minAvailable"), ("100%",)), (spec.get("maxUnavailable"), ("0", "0%"))):
        if _text(node) in blocks:
            yield Violation(path=node.path, message="the budget never allows a pod to be evicted, so no node can be "
            "drained")


def _text(node: Node) -> str:
    return f"{node.value:g}" if isinstance(node.value, float) else str(node.value)


def _budget_fits(found: KubeObject, context: Context) -> Iterable[Violation]:
    """minAvailable above the autoscaler's minimum blocks every drain while the load is low."""
    scalers = [s for s in context.stack.of_kind("HorizontalPodAutoscaler") if _target(s) == found.name]
    for scaler in scalers:
        low = scaler.root.get("spec", "minReplicas").number
        for budget in (budget for pod in found.pods for budget in _budgets(context.stack, pod)):
            node = budget.root.get("spec", "minAvailable")
            wanted = _pods_of(node, found.root.get("spec", "replicas").number)
            if low is not None and wanted is not None and wanted > low:
                message = f"{budget.object} wants more pods than {scaler.object} keeps at least"
                yield Violation(path="", message=message)


def _pods_of(node: Node, replicas: float | None) -> float | None:
    text = _text(node)
    if text.endswith("%") and text[:-1].isdecimal():
        return None if replicas is None else math.ceil(int(text[:-1]) / 100 * replicas)
    return node.number


def _selector(found: KubeObject, context: Context) -> Iterable[Violation]:
    node = found.root.get("spec", "selector")
    selector = node.value
    if not selector:
        return
    if found.kind == "DeploymentConfig":
        selector = {"matchLabels": selector}
    for pod in found.pods:
        if not selects(selector, pod.labels):
            yield Violation(path=node.path, message="the selector does not match the labels of the pod template")


def _required(found: KubeObject, context: Context) -> Iterable[Violation]:
    if not found.pods and found.kind not in (*_REPLICATED, "Namespace"):
        return
    for field in ("labels", "annotations"):
        for name in context.config[field]:
            node = found.root.get("metadata", field, name)
            if not node.text:
                yield Violation(
                    path=node.path, message=f"the {field[:-1]} {name} is missing", fix=f"add metadata.{field}"
                )


def _rule(
    rule_id: str, title: str, why: str, fix: str, check: Check, source: str, *, level: str = "mandatory", **more: object
) -> Rule:
    return Rule(
        id=rule_id, title=title, why=why, fix=fix, checks=(check,), sources=(source,), level=level, **more,  # type: ignore
    )


def _minimum_option() -> dict[str, Option]:
    schema = {"type": "number", "minimum": 1}
    return {"minimum": Option(schema=schema, default=2, about="fewest replicas allowed")}


_NAMES = {"type": "array", "items": {"type": "string"}}

RULES = (
    _rule(
        "disruption-budget", "A workload of two or more replicas has a PodDisruptionBudget.",
        "Draining nodes for an upgrade may otherwise evict all replicas of a model at once.",
        "add a PodDisruptionBudget with maxUnavailable: 1", _has_budget, _DISRUPTIONS, stack_cells=_replicated,
    ),
    _rule(
        "topology-spread", "A workload of two or more replicas is spread over nodes.",
        "One failing node otherwise takes all of them.",
        "add topologySpreadConstraints on kubernetes.io/hostname and the zone, or a podAntiAffinity", _spread, _SPREAD,
        cells=each_object(*_REPLICATED),
    ),
    _rule(
        "replica-minimum", "A workload without autoscaler has at least two replicas.",
        "A single one is down whenever its node is drained or it is updated.",
        "set replicas to 2 or more", _minimum, "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/",
        level="advisory", stack_cells=_replicated, options=_minimum_option(),
    ),
    _rule(
        "autoscaler-minimum", "An autoscaler keeps at least two replicas.",
        "At one replica a restart is an outage, and a model takes minutes to load.",
        "raise the minimum", _scaler_minimum, _HPA, level="advisory",
        cells=each_object("HorizontalPodAutoscaler", "ScaledObject"), options=_minimum_option(),
    ),
    _rule(
        "autoscaler-range", "An autoscaler's maximum is above its minimum.",
        "Otherwise it does nothing but hide the number of replicas in a second place.",
        "raise maxReplicas, or remove the autoscaler and set replicas", _scaler_range, _HPA, level="advisory",
        cells=each_object("HorizontalPodAutoscaler"),
    ),
    _rule(
        "disruption-possible", "A PodDisruptionBudget allows at least one disruption.",
        "A budget of zero stops node upgrades until somebody deletes it by hand.",
        "use maxUnavailable: 1", _can_disrupt, _DISRUPTIONS, cells=each_object("PodDisruptionBudget"),
    ),
    _rule(
        "disruption-budget-range", "A PodDisruptionBudget wants no more pods than the autoscaler keeps.",
        "While load is low, no node under these pods could be drained.",
        "use maxUnavailable, which follows the number of replicas", _budget_fits, _DISRUPTIONS, stack_cells=_replicated,
    ),
    _rule(
        "selector-match", "A workload's selector matches the labels of its pods.",
        "The API server refuses the object, long after the review.",
        "give the pod template the labels of the selector", _selector,
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector",
        cells=each_object(*_REPLICATED, "DaemonSet"),
    ),
    _rule(
        "required-labels", "Workloads and namespaces carry the labels and annotations the platform asks for.",
        "Costs and alerts cannot be attributed to anybody otherwise.",
        "add the label", _required,
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/",
        cells=each_object(),
        options={
            "labels": Option(schema=_NAMES, default=[], about="names of required labels; none by default"),
            "annotations": Option(schema=_NAMES, default=[], about="names of required annotations; none by default"),
        },
    ),
)
