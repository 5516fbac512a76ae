"""Parts of a GPU: MIG slices, which have memory of their own, and time slices, which have none.

Profiles are those of NVIDIA's MIG user guide (docs.nvidia.com/datacenter/tesla/mig-user-guide, read 2026-11), for B300
those of the GPU operator 25.3. Names and memory follow one scheme for each kind of chip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from planner.catalogue import Catalogue, Gpu, InstanceType, ModelSpec
from planner.faults import Fault, nearest
from planner.memory import Serving, estimate_memory
from planner.memory_engine import engine_for
from planner.settings import Hardware, Model, Sharing

__all__ = ["WHOLE_GPU", "Slice", "cards_for", "resource_of", "sharing_faults", "slice_of", "utilization_of"]

WHOLE_GPU = "nvidia.com/gpu"
# Memory in the names of 1g, doubled 1g and 2g, 3g and 4g, and 7g: chips with seven slices.
_SEVEN = {
    "a100-40gb": (5, 10, 20, 40), "a100-80gb": (10, 20, 40, 80), "h100": (10, 20, 40, 80),
    "h100-pcie": (10, 20, 40, 80), "h200": (18, 35, 71, 141), "b200": (23, 45, 90, 180),
    "gb200": (23, 47, 93, 186), "b300": (34, 67, 135, 269),
}  # fmt: skip
# Memory in the names of 1g, 2g and 4g: chips with four slices.
_FOUR = {"a30": (6, 12, 24), "rtx-pro-6000": (24, 48, 96)}
# Of the memory in a profile's name this much can be used: a slice 1g.10gb has 9.5 GiB.
_USABLE = 0.95


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A part of a GPU: how many of them one card gives, and the memory of one in GiB."""

    per_card: int
    memory_gib: float


def _profiles(gpu: str) -> dict[str, Slice]:
    if gpu in _SEVEN:
        one, two, half, whole = _SEVEN[gpu]
        counts = {f"1g.{one}gb": 7, f"1g.{two}gb": 4, f"2g.{two}gb": 3, f"3g.{half}gb": 2, f"4g.{half}gb": 1}
        counts[f"7g.{whole}gb"] = 1
    else:
        counts = {f"{g}g.{gb}gb": 4 // g for g, gb in zip((1, 2, 4), _FOUR.get(gpu, ()), strict=False)}
    sizes = {name: float(name.partition(".")[2].removesuffix("gb")) for name in counts}
    return {name: Slice(per_card=count, memory_gib=sizes[name] * _USABLE) for name, count in counts.items()}


def slice_of(sharing: Sharing, gpu: Gpu) -> Slice | None:
    """The part of such a GPU that is asked for; ``None`` where the GPU cannot be divided so."""
    if sharing.time_slices:
        return Slice(per_card=sharing.time_slices, memory_gib=gpu.memory_gib / sharing.time_slices)
    return _profiles(gpu.name).get(sharing.mig or "")


def resource_of(hardware: Hardware | None) -> str:
    """Extended resource that pods request, as NVIDIA's device plugin names it: MIG with strategy ``mixed``, time slices
    with ``renameByDefault``, so that nobody gets a part who asked for a whole GPU."""
    sharing = hardware.sharing if hardware else None
    if sharing is None:
        return WHOLE_GPU
    return f"nvidia.com/mig-{sharing.mig}" if sharing.mig else "nvidia.com/gpu.shared"


def utilization_of(hardware: Hardware | None) -> float:
    """``--gpu-memory-utilization`` of a server on a time slice, where nothing else keeps it from the memory of its
    neighbours: the engine's own share, divided. 0 stands for the engine's default."""
    sharing = hardware.sharing if hardware else None
    if sharing is None or not sharing.time_slices:
        return 0.0
    return math.floor(engine_for().gpu_memory_utilization / sharing.time_slices * 1000) / 1000


def cards_for(replicas: int, hardware: Hardware, instance: InstanceType, catalogue: Catalogue) -> int:
    """Whole cards that so many replicas on parts of one fill, and at least as many as replicas that fit on none."""
    gpu = catalogue.gpus.get(instance.gpu or "")
    part = slice_of(hardware.sharing, gpu) if gpu and hardware.sharing else None
    return math.ceil(replicas / part.per_card) if part else replicas


def sharing_faults(model: Model, hardware: Hardware, *, catalogue: Catalogue, where: str) -> list[Fault]:
    """A part that a GPU does not have, or that does not hold the model; ``where`` is the model's place in the file."""
    faults = []
    for kind in hardware.instance_types if hardware.sharing else ():
        instance = catalogue.instances.get(kind)
        gpu = catalogue.gpus.get(instance.gpu or "") if instance else None
        if gpu is None or hardware.sharing is None:
            continue  # reported by others
        part, place = slice_of(hardware.sharing, gpu), f"{where}.hardware.sharing"
        if part is None:
            known = _profiles(gpu.name)
            faults.append(
                Fault(
                    what=f"{gpu.product} of {kind} has no MIG profile {hardware.sharing.mig}", where=place,
                    nearest=nearest(hardware.sharing.mig or "", known) if known else f"{gpu.product} has no MIG",
                    fix="name a profile that it has, another instance type, or time_slices",
                )
            )
        elif model.source in catalogue.models:
            faults += _too_small(model, catalogue.models[model.source], gpu, part, where=place)
    return faults


def _too_small(model: Model, spec: ModelSpec, gpu: Gpu, part: Slice, *, where: str) -> list[Fault]:
    serving = Serving(
        context_tokens=model.context_tokens, max_sequences=model.max_sequences, batched_tokens=model.batched_tokens,
        precision="fp8" if model.quantization == "fp8" else None,
    )
    estimate = estimate_memory(spec, replace(gpu, memory_gib=part.memory_gib), serving)
    if estimate.fits:
        return []
    return [
        Fault(
            what=f"{model.source} does not fit on a part of {gpu.product} with {part.memory_gib:.1f} GiB: "
            f"{estimate.reason}",
            where=where, nearest="", fix="ask for a larger part or a whole GPU, or lower context_tokens",
        )
    ]
