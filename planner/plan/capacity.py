"""How much the stack may take: GPUs of the pool, and the quota of the namespace."""

from __future__ import annotations

import math

from planner.faults import Fault
from planner.plan.types import ApplicationPlan, GpuPoolPlan, ModelPlan, NamespacePlan
from planner.settings import StackSettings

__all__ = ["needed_gpus", "plan_gpu_pool", "plan_namespace"]

# Pods beside those of the plan: jobs, and what an operator starts to look at a fault.
_SPARE_PODS = 10


def needed_gpus(settings: StackSettings) -> int:
    """GPUs of all models at their maximum number of replicas."""
    return sum(m.maximum_replicas * m.hardware.gpus for m in settings.models.values() if m.hardware)


def plan_gpu_pool(
    settings: StackSettings, *, stack: str, where: str
) -> tuple[GpuPoolPlan | None, list[Fault]]:
    """The pool of GPU nodes, ``None`` when no model needs one, and a fault when it is smaller than the models need."""
    on_gpus = [model for model in settings.models.values() if model.hardware]
    if not on_gpus:
        return None, []
    needed = needed_gpus(settings)
    pool = settings.gpu_pool
    # One replica more than needed lets a rolling update start the new pod before the old one goes.
    max_gpus = pool.max_gpus or needed + max(model.hardware.gpus for model in on_gpus if model.hardware)
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
    plan = GpuPoolPlan(
        kind=pool.kind,
        name=f"llmagentos-{stack}-gpu",
        instance_types=tuple(sorted({model.hardware.instance_type for model in on_gpus if model.hardware})),
        spot=pool.spot,
        max_gpus=max_gpus,
        selector=dict(sorted(pool.selector.items())),
        node_class=(node_class.group, node_class.kind, node_class.name) if node_class else ("", "", ""),
    )
    return plan, faults


def plan_namespace(
    settings: StackSettings,
    *,
    stack: str,
    applications: tuple[ApplicationPlan, ...],
    models: tuple[ModelPlan, ...],
) -> NamespacePlan:
    """The namespace with a quota that admits every workload at its maximum, and one surge pod of each."""
    pods = [(a.replicas_max + 1, a.cpu_cores, a.memory_gib, 0) for a in applications]
    pods += [(m.replicas_max + m.surge, m.cpu_cores, m.memory_gib, m.gpus) for m in models]
    return NamespacePlan(
        name=settings.namespace.name or f"llmagentos-{stack}",
        create=settings.namespace.create,
        quota_cpu_cores=math.ceil(sum(count * cpu for count, cpu, _, _ in pods)) + 1,
        quota_memory_gib=math.ceil(sum(count * memory for count, _, memory, _ in pods)) + 1,
        quota_gpus=sum(count * gpus for count, _, _, gpus in pods),
        quota_pods=sum(count for count, _, _, _ in pods) + _SPARE_PODS,
    )
