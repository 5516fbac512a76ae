"""How much the stack may take: GPUs of the pool, and the quota of the namespace."""

from __future__ import annotations

import math
from collections.abc import Mapping

from planner.catalogue import Catalogue
from planner.faults import Fault
from planner.gpu_sharing import WHOLE_GPU, cards_for
from planner.plan.model_plan import ServerPart
from planner.plan.parts import filled, stated
from planner.plan.types import ApplicationPlan, GpuPoolPlan, ModelPlan, NamespacePlan
from planner.settings import Hardware, Model, StackSettings

__all__ = ["namespace_name", "needed_gpus", "plan_gpu_pool", "plan_namespace"]

# Pods beside those of the plan: jobs, and what an operator starts to look at a fault.
_SPARE_PODS = 10

# What the Job that fetches weights asks for: cores and GiB.
_FETCHER = (0.5, 0.5)
# And llm-d's endpoint picker.
_PICKER = (1.0, 2.0)


Parts = Mapping[str, tuple[ServerPart, ...]]


def needed_gpus(settings: StackSettings, catalogue: Catalogue, parts: Parts) -> int:
    """GPUs of the nodes that all models need at their maximum number of replicas.

    Karpenter counts whole nodes against the limit of a pool: where a replica leaves GPUs of its node over, they count.
    """
    return sum(_model_gpus(model, catalogue, parts[name]) for name, model in settings.models.items())


def _model_gpus(model: Model, catalogue: Catalogue, parts: tuple[ServerPart, ...]) -> int:
    hardware = stated(model)
    if hardware is None or not parts:
        return 0
    instance = catalogue.instances.get(hardware.instance_type)
    if instance is None or instance.gpus < hardware.gpus:
        # Reported as a fault of its own.
        return model.maximum_replicas * hardware.gpus
    if hardware.sharing:
        return cards_for(model.maximum_replicas, hardware, instance, catalogue)
    return filled(parts, gpus=hardware.gpus, instance=instance, spread=model.spread)[1] * instance.gpus


def _node_gpus(hardware: Hardware, catalogue: Catalogue) -> int:
    """GPUs of the node that one more replica may need."""
    instance = catalogue.instances.get(hardware.instance_type)
    unknown = instance is None or instance.gpus < hardware.gpus
    return hardware.gpus if unknown or hardware.sharing else instance.gpus


def plan_gpu_pool(
    settings: StackSettings, *, stack: str, catalogue: Catalogue, parts: Parts, where: str
) -> tuple[GpuPoolPlan | None, list[Fault]]:
    """The pool of GPU nodes, ``None`` when no model needs one, and a fault when it is smaller than the models need."""
    on_gpus = [hardware for model in settings.models.values() if (hardware := stated(model))]
    if not on_gpus:
        return None, []
    needed = needed_gpus(settings, catalogue, parts)
    pool = settings.gpu_pool
    # One replica more than needed lets a rolling update start the new pod before the old one goes, unless that one is
    # what the budget refuses.
    spare = max(_node_gpus(hardware, catalogue) for hardware in on_gpus)
    max_gpus = pool.max_gpus or max(needed, min(needed + spare, settings.budget.gpus or needed + spare))
    if pool.kind == "managed-node-group" and max_gpus > needed:
        # Its machines are paid for all the time, so there are none that no model needs.
        max_gpus = needed
    faults = []
    if max_gpus < needed:
        faults.append(
            Fault(
                what=f"the pool may hold {max_gpus} GPUs, and the models need {needed} at their maximum",
                where=f"{where}: gpu_pool.max_gpus", nearest=f"smallest that fits: {needed}",
                fix=f"set max_gpus to {needed} or more, or lower replicas or gpus of the models",
            )
        )
    node_class = pool.node_class
    floor = {name: tuple(part for part in made if part.on_demand) for name, made in parts.items()}
    plan = GpuPoolPlan(
        kind=pool.kind,
        name=f"llmagentos-{stack}-gpu",
        instance_types=tuple(sorted({name for hardware in on_gpus for name in hardware.instance_types})),
        spot=bool(pool.spot),
        max_gpus=max_gpus,
        selector=dict(sorted(pool.selector.items())),
        node_class=(node_class.group, node_class.kind, node_class.name) if node_class else ("", "", ""),
        on_demand_gpus=needed_gpus(settings, catalogue, floor),
        reserved=bool(pool.owned) and pool.kind == "karpenter",
        zones=tuple(sorted(pool.zones)),
    )
    return plan, faults


def namespace_name(settings: StackSettings, *, stack: str) -> str:
    """Where a stack runs: the stated namespace, or one that carries the stack's name."""
    return settings.namespace.name or f"llmagentos-{stack}"


def plan_namespace(
    settings: StackSettings,
    *,
    stack: str,
    applications: tuple[ApplicationPlan, ...],
    models: tuple[ModelPlan, ...],
) -> NamespacePlan:
    """The namespace with a quota that admits every workload at its maximum, one surge pod of each, and canaries."""
    pods = [(a.replicas_max + 1, a.cpu_cores, a.memory_gib, 0) for a in applications]
    pods += [(a.canary.replicas, a.cpu_cores, a.memory_gib, 0) for a in applications if a.canary]
    pods += [(m.replicas_max + m.surge * len(m.parts), m.cpu_cores, m.memory_gib, _whole(m)) for m in models]
    pods += [(1, *_FETCHER, 0) for m in models if m.weights.download == "job"]
    pods += [(1, *_PICKER, 0) for m in models if m.picker]
    return NamespacePlan(
        name=namespace_name(settings, stack=stack),
        create=settings.namespace.create,
        fence=settings.namespace.fence,
        quota_cpu_cores=math.ceil(sum(count * cpu for count, cpu, _, _ in pods)) + 1,
        quota_memory_gib=math.ceil(sum(count * memory for count, _, memory, _ in pods)) + 1,
        quota_gpus=sum(count * gpus for count, _, _, gpus in pods),
        quota_slices=_slices(models),
        quota_pods=sum(count for count, _, _, _ in pods) + _SPARE_PODS,
    )


def _whole(model: ModelPlan) -> int:
    return model.gpus if model.gpu_resource == WHOLE_GPU else 0


def _slices(models: tuple[ModelPlan, ...]) -> dict[str, int]:
    slices: dict[str, int] = {}
    for model in models:
        if model.gpus and not _whole(model):
            most = model.replicas_max + model.surge * len(model.parts)
            slices[model.gpu_resource] = slices.get(model.gpu_resource, 0) + most
    return dict(sorted(slices.items()))
