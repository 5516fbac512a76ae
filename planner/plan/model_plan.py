"""What is decided about a model server. Plain frozen values, as in ``planner.plan.types``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from planner.plan.hub import HubPlan
from planner.plan.serving import GatewayPlan, PickerPlan
from planner.plan.weights import AdapterPlan, ModelWeightsPlan

__all__ = ["ModelPlan", "ScheduledMinimum", "ServerPart"]


@dataclass(frozen=True, kw_only=True)
class ScheduledMinimum:
    """At least that many replicas from each ``start`` to the next ``end``, both cron expressions in UTC."""

    start: str
    end: str
    replicas: int


@dataclass(frozen=True, kw_only=True)
class ServerPart:
    """One Deployment of a model server. ``on_demand``: its pods never run on spot."""

    name: str
    replicas_min: int
    replicas_max: int
    on_demand: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """One model server. ``instance_type`` is empty on CPUs, ``fallbacks`` may stand in for it; ``batched_tokens`` is 0
    for the engine's own default; ``clients`` are the applications that may call it (through the gateway, with one);
    ``gpu_resource`` is what ``gpus`` counts, ``gpu_memory_utilization`` 0 for the engine's own default;
    ``replaced_args`` are flags that ``extra_args`` sets in place of the program; ``parts`` are its Deployments, whose
    replicas add up to ``replicas_min`` and ``replicas_max``."""

    name: str
    source: str
    revision: str
    engine: str
    image: str
    context_tokens: int
    max_sequences: int
    batched_tokens: int
    quantization: str
    instance_type: str
    fallbacks: tuple[str, ...]
    gpus: int
    gpu_resource: str
    gpu_memory_utilization: float
    tensor_parallel: int
    pipeline_parallel: int
    cpu_cores: float
    memory_gib: float
    weights_gib: float
    weights: ModelWeightsPlan
    adapters: tuple[AdapterPlan, ...]
    lora_rank: int
    hub: HubPlan
    replicas_min: int
    replicas_max: int
    autoscaling: str
    serving: str
    picker: PickerPlan | None
    gateway: GatewayPlan | None
    surge: int
    load_timeout_seconds: int
    rollout_timeout_seconds: int
    stream_seconds: int
    clients: tuple[str, ...]
    extra_args: tuple[str, ...]
    replaced_args: tuple[str, ...]
    pod_overrides: dict[str, Any]
    parts: tuple[ServerPart, ...]
    one_per_node: bool = False
    zones: int = 1
    schedule: tuple[ScheduledMinimum, ...] = ()

    @property
    def kept(self) -> int:
        """Replicas off spot that run all the time beside a part that may be interrupted."""
        return sum(part.replicas_max for part in self.parts if part.on_demand) if len(self.parts) > 1 else 0
