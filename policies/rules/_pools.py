"""Machines that a stack may buy: Karpenter NodePools and EKS managed node groups, at their limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ._model import KubeObject, Pod, Resource, Stack
from ._node import UNKNOWN, Node
from ._prices import Instance, instances
from ._quantity import quantity
from ._scale import GPU_RESOURCES

__all__ = ["INSTANCE_LABELS", "Pool", "Unpriced", "pools", "priced", "values_of"]

INSTANCE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
_FAMILY = ("karpenter.k8s.aws/instance-family",)
_NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"


class Unpriced(Exception):
    """No price can be given; the text says why, ``path`` where."""

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text)
        self.path = path


def priced(node: Node) -> Instance:
    """The instance type that a property names."""
    instance = instances().get(node.text or "")
    if instance is None or instance.usd_per_hour is None:
        raise Unpriced("the price file has no price for its instance type", node.path)
    return instance


def values_of(expressions: Node, keys: tuple[str, ...]) -> Iterator[Node]:
    """The values of ``In`` expressions on these keys."""
    for expression in expressions.elements():
        if expression.get("key").text in keys and expression.get("operator").text == "In":
            yield from expression.get("values").elements()


def pools(stack: Stack) -> tuple[Pool, ...]:
    """All pools of a stack."""
    found = [NodePool(found=found) for found in stack.of_kind("NodePool")]
    groups = [NodeGroup(found=resource) for resource in stack.resources if resource.type == _NODE_GROUP]
    return (*found, *groups)


@dataclass(frozen=True, kw_only=True)
class NodePool:
    """A Karpenter NodePool: https://karpenter.sh/docs/concepts/nodepools/."""

    found: KubeObject

    @property
    def object(self) -> str:
        return self.found.object

    @property
    def _template(self) -> Node:
        return self.found.root.get("spec", "template")

    @cached_property
    def types(self) -> tuple[Instance, ...]:
        """The instance types it may launch."""
        requirements = self._template.get("spec", "requirements")
        named = tuple(priced(node) for node in values_of(requirements, INSTANCE_LABELS))
        if named:
            return named
        families = {node.text for node in values_of(requirements, _FAMILY)}
        found = tuple(
            instance for instance in instances().values()
            if instance.usd_per_hour is not None and (not families or instance.name.partition(".")[0] in families)
        )
        if not found:
            raise Unpriced("the price file has no price for any type of its families", requirements.path)
        return found

    @property
    def gpus(self) -> float:
        """GPUs it may provision; infinite without a limit, 0 if it makes no GPU nodes."""
        limits = self.found.root.get("spec", "limits")
        stated = [quantity(limits.get(resource)) for resource in GPU_RESOURCES]
        if any(amount is not None for amount in stated):
            return sum(amount or 0.0 for amount in stated)
        other = self._fullest(lambda instance: instance.gpus)
        return 0.0 if not any(instance.gpus for instance in self.types) else other

    @property
    def usd_per_month(self) -> float:
        """The most its limits allow it to cost; infinite without limits."""
        return self._fullest(lambda instance: instance.usd_per_month or 0.0)

    def _fullest(self, amount: object) -> float:
        """The largest amount in a pool full of one type. Fractions of a node count, so no mixture can exceed it."""
        assert callable(amount)
        limits = self.found.root.get("spec", "limits")
        caps = {
            "gpus": next((value for key in GPU_RESOURCES if (value := quantity(limits.get(key))) is not None), None),
            "vcpu": quantity(limits.get("cpu")),
            "memory_gib": None if (memory := quantity(limits.get("memory"))) is None else memory / 2**30,
            "nodes": quantity(limits.get("nodes")),
        }
        return max(amount(instance) * _nodes(instance, caps) for instance in self.types)

    def accepts(self, pod: Pod) -> bool:
        """Whether the pod's node selector can be met by this pool."""
        labels = self._template.get("metadata", "labels")
        selector = dict(pod.spec.get("nodeSelector").items())
        names = {instance.name for instance in self.types}
        for key, node in selector.items():
            if key in INSTANCE_LABELS:
                met = node.text in names
            elif key == "karpenter.sh/nodepool":
                met = node.text == self.found.name
            else:
                met = labels.get(key).value in (None, node.value) and (labels.get(key).exists or key in _WELL_KNOWN)
            if not met:
                return False
        return True


# Labels that a node gets from its machine, not from the pool's template.
_WELL_KNOWN = frozenset(
    {"kubernetes.io/os", "kubernetes.io/arch", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
     "karpenter.sh/capacity-type", "nvidia.com/gpu.present"}
)


def _nodes(instance: Instance, caps: Mapping[str, float | None]) -> float:
    sizes = {"gpus": instance.gpus, "vcpu": instance.vcpu, "memory_gib": instance.memory_gib, "nodes": 1}
    counts = [cap / sizes[name] for name, cap in caps.items() if cap is not None and sizes[name]]
    nodes = min(counts, default=math.inf)
    return nodes if nodes >= 1 else 0.0  # not even one fits


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """An EKS managed node group at its maximum size."""

    found: Resource

    @property
    def object(self) -> str:
        return self.found.object

    @cached_property
    def types(self) -> tuple[Instance, ...]:
        named = tuple(priced(node) for node in self.found.root.get("instanceTypes").elements())
        if not named:
            raise Unpriced("it names no instance types", "instanceTypes")
        return named

    @property
    def _maximum(self) -> float:
        size = self.found.root.get("scalingConfig", "maxSize").number
        return math.inf if size is None else size

    @property
    def gpus(self) -> float:
        return self._maximum * gpus if (gpus := max(instance.gpus for instance in self.types)) else 0.0

    @property
    def usd_per_month(self) -> float:
        return self._maximum * max(instance.usd_per_month or 0.0 for instance in self.types)

    def accepts(self, pod: Pod) -> bool:
        wanted = [node for key, node in pod.spec.get("nodeSelector").items() if key in INSTANCE_LABELS]
        return all(
            node.raw is not UNKNOWN and node.text in {instance.name for instance in self.types} for node in wanted
        )


Pool = NodePool | NodeGroup
