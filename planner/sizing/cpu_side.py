"""Pods without a GPU: what applications, and model servers on CPUs, ask of nodes, and where that fits.

They are part of the same program as the models where they compete with them for money or quotas
(``sizing.applications: rented``). Otherwise nothing couples the two, since the taint of GPU nodes keeps these pods off
them, and the program falls into two that are solved one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from planner.allocation import Application, Pool, Problem
from planner.catalogue import Catalogue, InstanceType
from planner.faults import Fault, UserFault
from planner.nodes import NODE_SHARE
from planner.settings import StackSettings, cpu_cores, memory_gib
from planner.sizing.limits import CPU_SERVER
from planner.sizing.pools import PoolBook
from planner.sizing.types import SizedRejection

__all__ = ["CpuSide", "cpu_side", "pod_size"]

_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class CpuSide:
    """Pods without a GPU and the nodes that could hold them.

    Attributes:
        problem: those pods and nodes alone.
        counted: whether they belong into the program of the models.
        left_out: pods that no machine holds, and machines that no image runs on.
    """

    problem: Problem
    counted: bool
    left_out: tuple[SizedRejection, ...]


def cpu_side(settings: StackSettings, catalogue: Catalogue, book: PoolBook, *, where: str) -> CpuSide:
    """Adds the nodes to the book. Raises UserFault where pods that count can be placed nowhere."""
    machines = [kind for kind in catalogue.instances.values() if kind.supported and not kind.gpus]
    for kind in machines:
        book.add_cpu(kind)
    pools = tuple(pool for pool in book.pools() if not pool.gpus)
    counted = settings.sizing.applications == "rented"
    pods, left_out, faults = [], [], []
    for pod, platforms in _pods(settings):
        runs = [pool for pool in pools if book.instance(pool.name).architecture in platforms]
        if any(pod.vcpu <= pool.vcpu and pod.memory_gib <= pool.memory_gib for pool in runs):
            pods.append(replace(pod, pools=tuple(pool.name for pool in runs)))
            continue
        reason = _too_large(runs)
        left_out.append(SizedRejection(option=f"{pod.name}: {pod_size(pod)} a pod", reason=reason))
        faults.append(
            Fault(what=f"a pod asks for {pod_size(pod)}; {reason}", where=f"{where}: {pod.name}",
                  fix="ask for less, add a machine with its price to catalog: {instances: [...]}, or leave "
                  "sizing.applications at cluster")
        )  # fmt: skip
    if faults and counted:
        raise UserFault(faults)
    left_out += _foreign(settings, machines)
    return CpuSide(problem=Problem(pools=pools, applications=tuple(pods)), counted=counted, left_out=tuple(left_out))


def _pods(settings: StackSettings) -> Iterator[tuple[Application, set[str]]]:
    """At the maximum, which is what budgets count; with the processors that the images are built for."""
    for name, application in sorted(settings.applications.items()):
        replicas = application.replicas
        yield (
            Application(
                name=f"applications.{name}",
                replicas=replicas if isinstance(replicas, int) else replicas.max,
                vcpu=cpu_cores(application.resources.cpu),
                memory_gib=memory_gib(application.resources.memory),
            ),
            {platform.removeprefix("linux/") for platform in application.image.platforms or ("linux/amd64",)},
        )
    for name, model in sorted(settings.models.items()):
        if model.hardware is None:
            vcpu, memory = CPU_SERVER
            pod = Application(name=f"models.{name}", replicas=model.maximum_replicas, vcpu=vcpu, memory_gib=memory)
            yield pod, {"amd64"}


def pod_size(pod: Application) -> str:
    """What one pod requests, in words."""
    return f"{pod.vcpu:g} vCPU and {pod.memory_gib:g} GiB"


def _too_large(runs: list[Pool]) -> str:
    if not runs:
        return "no machine without a GPU has a known price here"
    largest = max(runs, key=lambda pool: (pool.vcpu, pool.memory_gib, pool.name))
    return (
        f"the largest machine without a GPU, {largest.name.split(' ')[-1]}, leaves {largest.vcpu:g} vCPU and "
        f"{largest.memory_gib:g} GiB to pods ({NODE_SHARE:.0%} of it)"
    )


def _foreign(settings: StackSettings, machines: Iterable[InstanceType]) -> Iterator[SizedRejection]:
    """Machines whose processors no image is built for."""
    built = {architecture for _, platforms in _pods(settings) for architecture in platforms}
    for architecture in ("amd64", "arm64"):
        names = [kind.name for kind in machines if kind.architecture == architecture]
        if names and architecture not in built:
            reason = f"their processors are {architecture}, and images are built for linux/{'/'.join(sorted(built))}"
            yield SizedRejection(option=_some(names), reason=reason)


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
