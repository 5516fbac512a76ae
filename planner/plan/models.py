"""What each model server is given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from planner.catalogue import Catalogue, InstanceType
from planner.gpu_sharing import resource_of, slice_of, utilization_of
from planner.lock import Lock
from planner.nodes import pod_share
from planner.plan.applications import stream_seconds
from planner.plan.capacity import needed_gpus
from planner.plan.hub import plan_hub
from planner.plan.images import promoted
from planner.plan.model_plan import ServerPart
from planner.plan.parts import stated
from planner.plan.rollout import rollout_seconds
from planner.plan.schedules import lead_minutes, plan_schedule
from planner.plan.serving import plan_gateway, plan_picker
from planner.plan.types import AWAITED, GpuPoolPlan, ImagePlan, ModelPlan
from planner.plan.weights import lora_rank, plan_adapters, plan_weights
from planner.settings import BUILTIN_TINY, Hardware, Model, StackSettings
from planner.settings._arguments import REPLACEABLE, flags_of
from planner.sizing import Sizing

__all__ = ["plan_models", "pod_size"]

# The tiny model needs next to nothing; the numbers leave room for the Python process around it.
_CPU_SERVER = (0.5, 0.5)
# Loading: 600 s for pulling an 8 GiB server image and compiling CUDA graphs, and 8 s per GiB of weights (1 Gbit/s).
_LOAD_BASE_SECONDS, _LOAD_SECONDS_PER_GIB = 600, 8
_LOAD_SECONDS_UNKNOWN = 3600


def plan_models(
    settings: StackSettings,
    *,
    lock: Lock,
    catalogue: Catalogue,
    images: dict[str, ImagePlan],
    pool: GpuPoolPlan | None,
    parts: Mapping[str, tuple[ServerPart, ...]],
    sizing: Sizing | None = None,
    lock_file: str = "",
    folder: Path = Path(),
) -> tuple[ModelPlan, ...]:
    """One plan per model, by name. Hardware and files in ``folder`` have been checked before; ``parts`` are the
    Deployments of each, ``sizing`` holds schedules."""
    spare_gpus = (pool.max_gpus if pool else 0) - needed_gpus(settings, catalogue, parts)
    plans = (
        _plan(
            name, model, settings=settings, lock=lock, catalogue=catalogue, image=images[name], spare_gpus=spare_gpus,
            folder=folder, parts=parts[name],
        )
        for name, model in sorted(settings.models.items())
    )
    return tuple(_scheduled(plan, sizing, lock_file) if plan.autoscaling == "keda" else plan for plan in plans)


def _scheduled(plan: ModelPlan, sizing: Sizing | None, lock_file: str) -> ModelPlan:
    lead = lead_minutes(plan.weights_gib, on_gpu=bool(plan.gpus))
    return replace(plan, schedule=plan_schedule(f"models.{plan.name}", sizing, lead=lead, where=lock_file))


def _plan(
    name: str,
    model: Model,
    *,
    settings: StackSettings,
    lock: Lock,
    catalogue: Catalogue,
    image: ImagePlan,
    spare_gpus: int,
    folder: Path,
    parts: tuple[ServerPart, ...],
) -> ModelPlan:
    hardware = stated(model)
    gpus = hardware.gpus if hardware else 0
    cpu, memory = pod_size(hardware, catalogue) if hardware else _CPU_SERVER
    weights = _weights_gib(model, catalogue)
    load_seconds = _load_timeout_seconds(model, weights)
    return ModelPlan(
        name=name,
        source=model.source,
        revision=lock.release.revisions.get(name, model.revision or _unstated(model, settings)),
        engine=model.engine,
        image=image.name,
        context_tokens=model.context_tokens,
        max_sequences=model.max_sequences,
        batched_tokens=model.batched_tokens or 0,
        quantization=model.quantization,
        instance_type=hardware.instance_type if hardware else "",
        fallbacks=hardware.fallbacks if hardware else (),
        gpus=gpus,
        gpu_resource=resource_of(hardware),
        gpu_memory_utilization=utilization_of(hardware),
        tensor_parallel=hardware.tensor_parallel if hardware else 1,
        pipeline_parallel=hardware.pipeline_parallel if hardware else 1,
        cpu_cores=cpu,
        memory_gib=memory,
        weights_gib=weights,
        weights=plan_weights(model, weights_gib=weights, folder=folder),
        adapters=plan_adapters(model, folder=folder),
        lora_rank=lora_rank(model),
        hub=plan_hub(settings, model),
        replicas_min=sum(part.replicas_min for part in parts),
        replicas_max=sum(part.replicas_max for part in parts),
        autoscaling=model.autoscaling,
        serving=model.serving,
        picker=plan_picker(model),
        gateway=plan_gateway(model),
        # A surge pod that finds no GPU waits for ever and the rollout with it; then one replica goes first.
        surge=1 if spare_gpus >= gpus else 0,
        load_timeout_seconds=load_seconds,
        rollout_timeout_seconds=rollout_seconds(
            replicas=model.maximum_replicas, start_seconds=load_seconds, stream_seconds=stream_seconds(model)
        ),
        stream_seconds=stream_seconds(model),
        clients=tuple(sorted(key for key, app in settings.applications.items() if app.model_key == name)),
        extra_args=model.extra_args,
        replaced_args=tuple(sorted(REPLACEABLE & set(flags_of(model.extra_args)))),
        pod_overrides=model.pod_overrides,
        parts=parts,
        one_per_node=model.spread.one_per_node,
        zones=model.spread.zones,
    )


def _unstated(model: Model, settings: StackSettings) -> str:
    """The revision of a model whose stack file states none."""
    return AWAITED if model.source != BUILTIN_TINY and promoted(settings.applications) else ""


def pod_size(hardware: Hardware, catalogue: Catalogue) -> tuple[float, float]:
    """Cores and GiB that a replica requests: its GPUs' share of what the smallest of its nodes can give."""
    sizes = [_share(catalogue.instances[name], hardware, catalogue) for name in hardware.instance_types]
    return min(cpu for cpu, _ in sizes), min(memory for _, memory in sizes)


def _share(instance: InstanceType, hardware: Hardware, catalogue: Catalogue) -> tuple[int, int]:
    part = slice_of(hardware.sharing, catalogue.gpus[instance.gpu or ""]) if hardware.sharing else None
    return pod_share(instance, hardware.gpus / part.per_card if part else hardware.gpus)


def _weights_gib(model: Model, catalogue: Catalogue) -> float:
    """Size of the checkpoint in GiB, rounded up to whole ones; 0 when the model is not in the catalogue."""
    known = catalogue.models.get(model.source)
    return math.ceil(known.weight_gib) if known else 0


def _load_timeout_seconds(model: Model, weights_gib: float) -> int:
    if model.engine != "vllm":
        return 120
    return _LOAD_BASE_SECONDS + round(_LOAD_SECONDS_PER_GIB * weights_gib) if weights_gib else _LOAD_SECONDS_UNKNOWN
