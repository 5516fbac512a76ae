"""What Karpenter may buy on the embedded cluster: the planner's catalogue in the form its kwok provider reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Protocol

__all__ = ["ZONES", "CatalogueEntry", "to_json"]

ZONES = ("local-a", "local-b", "local-c")
"""Zones of the simulated nodes, so that topology spread has something to spread over."""

# Memory that the hypervisor and the operating system keep, as Karpenter's AWS provider assumes by default
# (`vm-memory-overhead-percent`); the kubelet's own reservation is subtracted by the kwok provider itself.
_MEMORY_OVERHEAD = 0.075
_PODS_PER_NODE = 110
# Spot is cheaper, which is all that Karpenter has to know here; what it costs on a given day is not the catalogue's.
_SPOT_SHARE = 0.4
_DISK_GIB = 100


class CatalogueEntry(Protocol):
    """What is read of an instance type of the planner's catalogue."""

    @property
    def name(self) -> str: ...
    @property
    def vcpu(self) -> int: ...
    @property
    def memory_gib(self) -> float: ...
    @property
    def architecture(self) -> str: ...
    @property
    def gpus(self) -> int: ...
    @property
    def usd_per_hour(self) -> float | None: ...
    @property
    def supported(self) -> bool: ...


def to_json(entries: Iterable[CatalogueEntry]) -> str:
    """The file for ``--instance-types-file-path``: each type in every zone, at its price per hour and cheaper on spot.

    Types without a price are left out, because Karpenter would take them for free and prefer them to all others, and so
    are those that the planner does not support, because their accelerators would pass for plain CPU machines.
    """
    types = [_instance_type(entry) for entry in entries if entry.supported and entry.usd_per_hour is not None]
    return json.dumps(sorted(types, key=lambda item: item["name"]), indent=1) + "\n"


def _instance_type(entry: CatalogueEntry) -> dict:
    resources = {
        "cpu": str(entry.vcpu),
        "memory": f"{int(entry.memory_gib * 1024 * (1 - _MEMORY_OVERHEAD))}Mi",
        "ephemeral-storage": f"{_DISK_GIB}Gi",
        "pods": str(_PODS_PER_NODE),
    }
    if entry.gpus:
        resources["nvidia.com/gpu"] = str(entry.gpus)
    return {
        "name": entry.name,
        "architecture": entry.architecture,
        "operatingSystems": ["linux"],
        "resources": resources,
        "offerings": [
            _offering(zone, usd_per_hour, capacity)
            for capacity, usd_per_hour in _prices(entry).items() for zone in ZONES
        ],
    }  # fmt: skip


def _prices(entry: CatalogueEntry) -> dict[str, float]:
    on_demand = entry.usd_per_hour or 0.0
    return {"on-demand": on_demand, "spot": round(on_demand * _SPOT_SHARE, 5)}


def _offering(zone: str, usd_per_hour: float, capacity: str) -> dict:
    labels = {"karpenter.sh/capacity-type": capacity, "topology.kubernetes.io/zone": zone}
    return {
        "Price": usd_per_hour,
        "Available": True,
        "Requirements": [{"key": key, "operator": "In", "values": [value]} for key, value in labels.items()],
    }
