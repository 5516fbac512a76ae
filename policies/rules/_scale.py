"""What a stack needs when every autoscaler has scaled as far as it may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ._model import Container, KubeObject, Pod, Stack
from ._node import Node, UnknownAt
from ._quantity import quantity

__all__ = ["GPU_RESOURCES", "Demand", "Part", "demand_of", "devices_of_container", "gpu_resources", "gpus_of_container"]

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
# A time slice shows no number of slices, so it counts as the whole card that it may be the only one on.
_TIME_SLICE = "nvidia.com/gpu.shared"
# MIG slices by their number of compute slices: the fewest of them that any card gives when it gives no others.
# https://docs.nvidia.com/datacenter/tesla/mig-user-guide/supported-mig-profiles.html
_MIG = re.compile(r"nvidia\.com/mig-(\d)g\.")
_SLICES_PER_CARD = {"1": 4, "2": 2, "3": 2, "4": 1, "7": 1}
_KEDA_DEFAULT_MAXIMUM = 100  # https://keda.sh/docs/latest/reference/scaledobject-spec/#maxreplicacount


@dataclass(frozen=True, kw_only=True)
class Part:
    """Equal pods of a workload; ``gpus`` and ``memory_bytes`` are those of one of them."""

    pod: Pod
    count: int
    gpus: float
    memory_bytes: float


@dataclass(frozen=True, kw_only=True)
class Demand:
    """One workload at maximum scale."""

    found: KubeObject
    parts: tuple[Part, ...]

    @property
    def object(self) -> str:
        return self.found.object

    @property
    def replicas(self) -> int:
        """All its pods."""
        return sum(part.count for part in self.parts)

    @property
    def gpus(self) -> float:
        """GPUs of all its pods."""
        return sum(part.count * part.gpus for part in self.parts)

    @property
    def memory_bytes(self) -> float:
        """Memory of all its pods."""
        return sum(part.count * part.memory_bytes for part in self.parts)


def demand_of(stack: Stack, found: KubeObject) -> Demand:
    """A workload at maximum scale. Raises UnknownAt where that is not known."""
    return Demand(
        found=found,
        parts=tuple(
            Part(
                pod=pod, count=_maximum(stack, found, pod), gpus=_of_pod(pod, gpus_of_container) + _claimed(stack, pod),
                memory_bytes=_of_pod(pod, _memory),
            )
            for pod in found.pods
        ),
    )


def _maximum(stack: Stack, found: KubeObject, pod: Pod) -> int:
    """How many pods of a template there may be at most."""
    spec = found.root.get("spec")
    if found.kind in ("Job", "CronJob"):
        job = spec if found.kind == "Job" else spec.get("jobTemplate", "spec")
        return _count(job.get("parallelism"), default=1)
    if found.kind == "ScaledJob":
        parallelism = _count(spec.get("jobTargetRef", "parallelism"), default=1)
        return _count(spec.get("maxReplicaCount"), default=_KEDA_DEFAULT_MAXIMUM) * parallelism
    if found.kind == "LeaderWorkerSet":
        return _of_group(spec, pod)
    if found.kind.startswith("Ray"):
        return _of_ray(found.root, pod)
    maxima = [_count(node, default=_KEDA_DEFAULT_MAXIMUM) for node in _autoscaler_maxima(stack, found)]
    if found.kind == "InferenceService":
        component = pod.template
        stated = [_count(component.get("minReplicas"), default=1), _count(component.get("maxReplicas"), default=0)]
        return max(*stated, *maxima)
    return max([_count(spec.get("replicas"), default=1), *maxima])


def _of_group(spec: Node, pod: Pod) -> int:
    """A group has ``size`` pods, one of them made from the leader's template where there is one.

    https://lws.sigs.k8s.io/docs/reference/leaderworkerset.v1/
    """
    groups = _count(spec.get("replicas"), default=1)
    template = spec.get("leaderWorkerTemplate")
    leader = template.get("leaderTemplate")
    if leader.exists and pod.template.path == leader.path:
        return groups
    return groups * (_count(template.get("size"), default=1) - int(leader.exists))


def _of_ray(root: Node, pod: Pod) -> int:
    """One head; each group of workers by its maximum. https://docs.ray.io/en/latest/cluster/kubernetes/user-guides/config.html"""
    for cluster in (root.get("spec"), root.get("spec", "rayClusterConfig"), root.get("spec", "rayClusterSpec")):
        for group in cluster.get("workerGroupSpecs").elements():
            if pod.template.path == group.get("template").path:
                most = _count(group.get("maxReplicas"), default=_count(group.get("replicas"), default=1))
                return most * _count(group.get("numOfHosts"), default=1)
    return 1


def _autoscaler_maxima(stack: Stack, found: KubeObject) -> Iterator[Node]:
    for scaler in stack.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        spec = scaler.root.get("spec")
        target = spec.get("scaleTargetRef")
        same = (target.get("kind").text or "Deployment", target.get("name").text) in _scaled_as(found)
        if same and scaler.namespace == found.namespace:
            yield spec.get("maxReplicas" if scaler.kind == "HorizontalPodAutoscaler" else "maxReplicaCount")


def _scaled_as(found: KubeObject) -> tuple[tuple[str, str], ...]:
    """What an autoscaler names when it means this workload. KServe makes a Deployment for each component.

    https://kserve.github.io/website/docs/concepts/architecture/control-plane
    """
    if found.kind == "InferenceService":
        parts = ("predictor", "transformer", "explainer")
        return tuple(("Deployment", f"{found.name}-{part}") for part in parts)
    return ((found.kind, found.name),)


def _count(node: Node, *, default: int) -> int:
    number = node.number
    return default if number is None else max(0, int(number))


def _of_pod(pod: Pod, amount: Callable[[Container], float]) -> float:
    """What one pod takes: its running containers together, or its largest init container."""
    running = sum(amount(container) for container in pod.containers if container.is_long_running)
    starting = [
        amount(container)
        for container in pod.containers
        if container.role == "initContainers" and not container.is_long_running
    ]
    return max([running, *starting])


def gpus_of_container(container: Container) -> float:
    """Accelerators in a container's limits (requests must equal them); of a part the share of a card that it takes."""
    resources = container.node.get("resources")
    return sum(_amount(resources, name) * _share_of(name) for name in gpu_resources(container))


def devices_of_container(container: Container) -> float:
    """What its program sees as GPUs: whole cards and parts alike."""
    resources = container.node.get("resources")
    return sum(_amount(resources, name) for name in gpu_resources(container))


def gpu_resources(container: Container) -> tuple[str, ...]:
    """Names of the extended resources that stand for accelerators or parts of them, as far as the container asks."""
    resources = container.node.get("resources")
    asked = {name for kind in ("limits", "requests") for name, _ in resources.get(kind).items()}
    return tuple(sorted(name for name in asked if name in GPU_RESOURCES or name == _TIME_SLICE or _MIG.match(name)))


def _share_of(resource: str) -> float:
    slices = _MIG.match(resource)
    return 1 / _SLICES_PER_CARD.get(slices[1], 1) if slices else 1.0


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
