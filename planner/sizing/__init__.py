"""Hardware for every model with ``hardware: auto``, at the least cost of the whole stack, with reasons.

What a preview needs (reading the lock, noticing that it is stale) imports no solver; ``decide`` does.
"""

from __future__ import annotations

from planner.sizing.inputs import sizing_hash, sizing_inputs
from planner.sizing.resolve import differences, needs_sizing, read_sizing, resolve, with_hardware, with_own_rows
from planner.sizing.types import (
    SizedApplications,
    SizedModel,
    SizedNode,
    SizedRejection,
    SizedSchedule,
    SizedWindow,
    Sizing,
)

__all__ = [
    "SizedApplications",
    "SizedModel",
    "SizedNode",
    "SizedRejection",
    "SizedSchedule",
    "SizedWindow",
    "Sizing",
    "differences",
    "needs_sizing",
    "read_sizing",
    "resolve",
    "sizing_hash",
    "sizing_inputs",
    "with_hardware",
    "with_own_rows",
]
