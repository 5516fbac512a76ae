"""List prices by instance type, from ``prices.json`` beside the pack (generated from the planner's catalogue)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["HOURS_PER_MONTH", "Instance", "instances"]

HOURS_PER_MONTH = 730  # 8,760 hours a year in twelve parts, as cloud calculators count


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance type with its list price; None where the price is not known, which is never zero."""

    name: str
    vcpu: float
    memory_gib: float
    gpus: int
    usd_per_hour: float | None

    @property
    def usd_per_month(self) -> float | None:
        return None if self.usd_per_hour is None else self.usd_per_hour * HOURS_PER_MONTH


@cache
def instances() -> dict[str, Instance]:
    """All instance types of the price file."""
    text = (Path(__file__).resolve().parent.parent / "prices.json").read_text(encoding="utf-8")
    return {name: Instance(name=name, **row) for name, row in json.loads(text)["instances"].items()}
