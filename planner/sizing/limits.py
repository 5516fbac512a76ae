"""What caps all models of a stack together: budgets, quotas, and the floor that stays off spot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from planner.allocation import HOURS_PER_MONTH, Cap, Pool, SpotRule
from planner.catalogue import Catalogue
from planner.faults import Fault, nearest
from planner.settings import GpuPool, StackSettings, memory_gib

__all__ = ["CPU_SERVER", "caps_of", "pool_faults", "spot_rule"]

CPU_SERVER = (0.5, 0.5)
"""Cores and GiB that the plan gives a server on CPUs."""


def spot_rule(pool: GpuPool) -> SpotRule | None:
    """The floor of every model; ``None`` where spot is off."""
    floor = pool.spot_floor
    if floor is not None:
        return SpotRule(floor_replicas=floor.on_demand_replicas, floor_fraction=floor.on_demand_share)
    return SpotRule(floor_replicas=0) if pool.spot else None


def pool_faults(pool: GpuPool, catalogue: Catalogue, *, where: str) -> list[Fault]:
    """Names of owned nodes and of quotas that are none: a quota that covers nothing would protect nothing."""
    named = [(name, f"{where}: gpu_pool.owned") for name in sorted(pool.owned) if name not in catalogue.instances]
    for number, quota in enumerate(pool.quotas):
        for pattern in quota.instance_types:
            if not any(fnmatchcase(name, pattern) for name in catalogue.instances):
                named.append((pattern, f"{where}: gpu_pool.quotas.{number}.instance_types"))
    return [
        Fault(
            what=f"`{name}` is no instance type of the catalogue", where=place, nearest=_near(name, catalogue),
            fix="use a name of the catalogue, or add a row to `catalog:`",
        )
        for name, place in named
    ]


def _near(name: str, catalogue: Catalogue) -> str:
    hint = nearest(name, catalogue.instances)
    return hint if hint.startswith("did you mean") else ""


def caps_of(settings: StackSettings, pools: Sequence[Pool]) -> Iterator[Cap]:
    """Budgets at list price, because policies hold the preview to that; caps and quotas on all nodes in use."""
    budget, gpu_pool = settings.budget, settings.gpu_pool
    on_gpus = tuple(pool.name for pool in pools if pool.gpus)
    if budget.usd_per_month is not None:
        yield Cap(name="budget.usd_per_month", unit="list_usd_per_hour", limit=budget.usd_per_month / HOURS_PER_MONTH)
    if budget.gpus is not None:
        yield Cap(name="budget.gpus", unit="gpus", limit=budget.gpus)
    if gpu_pool.max_gpus is not None:
        yield Cap(name="gpu_pool.max_gpus", unit="gpus", limit=gpu_pool.max_gpus)
    if budget.memory_gib is not None:
        rest = budget.memory_gib - sum(_other_memory_gib(settings))
        name = "budget.memory_gib (less what runs on CPUs)"
        yield Cap(name=name, unit="memory_gib", limit=max(0.0, rest), pools=on_gpus)
    for number, quota in enumerate(gpu_pool.quotas):
        covered = tuple(pool.name for pool in pools if quota.covers(pool.name.split(" ")[-1]))
        for unit, limit in quota.limits.items():
            if covered:
                yield Cap(name=f"gpu_pool.quotas.{number}.{unit}", unit=unit, limit=limit, pools=covered)


def _other_memory_gib(settings: StackSettings) -> Iterator[float]:
    for application in settings.applications.values():
        replicas = application.replicas
        count = replicas if isinstance(replicas, int) else replicas.max
        yield count * memory_gib(application.resources.memory)
    for model in settings.models.values():
        if model.hardware is None:
            yield model.maximum_replicas * CPU_SERVER[1]
