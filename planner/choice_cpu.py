"""Small models on CPUs by llama.cpp: a CPU seen as a slow GPU with much memory."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from planner.catalogue import Gpu, InstanceType, ModelSpec, Precision
from planner.catalogue.read import rows_of
from planner.memory import MemoryEstimate
from planner.memory_kv import KvLayout, kv_bytes_per_token
from planner.memory_weights import GIB, weight_gib

__all__ = ["cpu_device", "cpu_memory"]

_SYSTEM_SHARE = 0.15
"""Of main memory, for the kubelet, the system and other pods."""
_SERVER_GIB = 1.0
_SLOTS = 8
"""Sequences at once (``--parallel``); more gain nothing once the cores are busy."""
_BATCH = 2048
_HALF = 2.0


def cpu_device(instance: InstanceType) -> Gpu | None:
    """The instance's cores and memory channels as a device; ``None`` for a family without figures."""
    row = _families().get(instance.name.partition(".")[0])
    if row is None:
        return None
    return Gpu(
        name=f"cpu of {instance.name}",
        product=row["processor"],
        nominal_gib=instance.memory_gib,
        memory_gib=instance.memory_gib,
        bandwidth_gb_per_second=float(row["bandwidth_gb_per_second_per_vcpu"]) * instance.vcpu,
        half_tflops=float(row["half_tflops_per_vcpu"]) * instance.vcpu,
        interconnect="pcie",
        interconnect_gb_per_second=1.0,
        compute_capability=(0, 0),
        source=row["source"],
        date=row["date"],
    )


def cpu_memory(model: ModelSpec, device: Gpu, *, precision: Precision | None, context_tokens: int) -> MemoryEstimate:
    """Weights and a half-precision cache in main memory; llama.cpp reserves every slot's whole context at start-up."""
    budget = device.memory_gib * (1 - _SYSTEM_SHARE)
    weights = weight_gib(model, precision)
    free = budget - weights - _SERVER_GIB
    per_sequence = kv_bytes_per_token(model) * model.layers * context_tokens
    per_sequence += model.state_layers * model.state_kib * 1024
    slots = min(_SLOTS, max(0, int(free * GIB / per_sequence)))
    reason = (
        f"weights and one sequence of {context_tokens} tokens take {weights + _SERVER_GIB + per_sequence / GIB:.1f}"
    )
    layout = KvLayout(
        block_tokens=context_tokens, block_bytes=per_sequence, full_groups=1, other_groups=0, other_blocks=0,
        other_resident=0,
    )  # fmt: skip
    return MemoryEstimate(
        budget_gib=budget,
        weights_gib=weights,
        activation_gib=_BATCH * model.hidden * _HALF * 4 / GIB,
        other_gib=_SERVER_GIB,
        kv_gib=free,
        kv_tokens=slots * context_tokens,
        context_tokens=context_tokens,
        max_sequences=slots,
        fits=slots > 0,
        reason="" if slots else f"{reason} GiB, and {budget:.1f} GiB may be used",
        sequence_limit=_SLOTS,
        batched_tokens=_BATCH,
        blocks=slots,
        layout=layout,
    )


@cache
def _families() -> dict[str, dict[str, str]]:
    return {row["family"]: row for row in rows_of(Path(__file__).parent / "data" / "cpus.csv")}
