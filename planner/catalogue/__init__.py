"""What can be rented and what can be served: instance types, GPUs and models, each row with its source and date."""

from __future__ import annotations

from planner.catalogue.catalogue import HOURS_PER_MONTH, PRICE_MAX_AGE_DAYS, Catalogue, load, usd_per_month
from planner.catalogue.types import Gpu, InstanceType, ModelSpec, Precision

__all__ = [
    "HOURS_PER_MONTH",
    "PRICE_MAX_AGE_DAYS",
    "Catalogue",
    "Gpu",
    "InstanceType",
    "ModelSpec",
    "Precision",
    "load",
    "usd_per_month",
]
