"""What a stack needs when every autoscaler has scaled as far as it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ._model import Container, KubeObject, Pod, Stack
from ._node import Node, UnknownAt
from ._quantity import quantity

__all__ = [
    "GPU_RESOURCES",
    "Demand",
    "demand_of",
    "gpus_of_container",
    "gpus_of_pod",
    "maximum_replicas",
    "memory_of_pod",
]

# Extended resources that stand for one accelerator each.
GPU_RESOURCES = (
    "nvidia.com/gpu",
    "amd.com/gpu",
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
    "habana.ai/gaudi",
    "aws.amazon.com/neuron",
    "google.com/tpu",
)
_KEDA_DEFAULT_MAXIMUM = 100  # https://keda.sh/docs/latest/reference/scaledobject-spec/#maxreplicacount


@dataclass(frozen=True, kw_only=True)
class Demand:
    """One workload at maximum scale; ``replicas`` counts its pods, ``gpus`` and ``memory_bytes`` are those of one
    pod."""

    found: KubeObject
    replicas: int
    gpus: float
    memory_bytes: float
    replicas_path: str

    @property
    def object(self) -> str:
        return self.found.object


def demand_of(stack: Stack, found: KubeObject) -> Demand:
    """A workload at maximum scale. Raises UnknownAt where that is not known."""
    replicas, path = maximum_replicas(stack, found)
    gpus = sum(gpus_of_pod(stack, pod) for pod in found.pods)
    memory = sum(memory_of_pod(pod) for pod in found.pods)
    return Demand(found=found, replicas=replicas, gpus=gpus, memory_bytes=memory, replicas_path=path)


def maximum_replicas(stack: Stack, found: KubeObject) -> tuple[int, str]:
    """How many pods of a workload there may be at most, and which property says so."""
    spec = found.root.get("spec")
    if found.kind in ("Job", "CronJob"):
        job = spec if found.kind == "Job" else spec.get("jobTemplate", "spec")
        return _count(job.get("parallelism"), default=1), job.get("parallelism").path
    if found.kind == "ScaledJob":
        node = spec.get("maxReplicaCount")
        parallelism = _count(spec.get("jobTargetRef", "parallelism"), default=1)
        return _count(node, default=_KEDA_DEFAULT_MAXIMUM) * parallelism, node.path
    if found.kind == "LeaderWorkerSet":
        size = _count(spec.get("leaderWorkerTemplate", "size"), default=1)
        return _count(spec.get("replicas"), default=1) * size, spec.get("replicas").path
    replicas, path = _count(spec.get("replicas"), default=1), spec.get("replicas").path
    for node in _autoscaler_maxima(stack, found):
        maximum = _count(node, default=_KEDA_DEFAULT_MAXIMUM)
        if maximum > replicas:
            replicas, path = maximum, node.path
    return replicas, path


def _autoscaler_maxima(stack: Stack, found: KubeObject) -> Iterator[Node]:
    for scaler in stack.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        spec = scaler.root.get("spec")
        target = spec.get("scaleTargetRef")
        same = target.get("name").text == found.name and (target.get("kind").text or "Deployment") == found.kind
        if same and scaler.namespace == found.namespace:
            yield spec.get("maxReplicas" if scaler.kind == "HorizontalPodAutoscaler" else "maxReplicaCount")


def _count(node: Node, *, default: int) -> int:
    number = node.number
    return default if number is None else max(0, int(number))


def gpus_of_pod(stack: Stack, pod: Pod) -> float:
    """Accelerators of one pod: its containers together, or its largest init container, and its resource claims."""
    return _of_pod(pod, gpus_of_container) + _claimed(stack, pod)


def memory_of_pod(pod: Pod) -> float:
    """Memory limits of one pod in bytes; a container without one counts its request."""
    return _of_pod(pod, _memory)


def _of_pod(pod: Pod, amount: Callable[[Container], float]) -> float:
    running = sum(amount(container) for container in pod.containers if container.is_long_running)
    starting = [
        amount(container)
        for container in pod.containers
        if container.role == "initContainers" and not container.is_long_running
    ]
    return max([running, *starting])


def gpus_of_container(container: Container) -> float:
    """Accelerators in a container's limits (requests must equal them)."""
    resources = container.node.get("resources")
    return sum(_amount(resources, resource) for resource in GPU_RESOURCES)


def _memory(container: Container) -> float:
    return _amount(container.node.get("resources"), "memory")


def _amount(resources: Node, resource: str) -> float:
    for kind in ("limits", "requests"):
        amount = quantity(resources.get(kind, resource))
        if amount is not None:
            return amount
    return 0.0


def _claimed(stack: Stack, pod: Pod) -> float:
    """Devices of the pod's claim templates. A claim that is not in the stack cannot be counted, which is not zero."""
    total = 0.0
    for claim in pod.spec.get("resourceClaims").elements():
        name = claim.get("resourceClaimTemplateName").text
        template = next((found for found in stack.of_kind("ResourceClaimTemplate") if found.name == name), None)
        if template is None:
            raise UnknownAt(claim.path)
        for request in template.root.get("spec", "spec", "devices", "requests").elements():
            exactly = request.get("exactly") if request.get("exactly").exists else request
            if exactly.get("allocationMode").text == "All":
                raise UnknownAt(exactly.get("allocationMode").path)
            total += _count(exactly.get("count"), default=1)
    return total
