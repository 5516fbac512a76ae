"""What a stack says about itself to the engine, so that policies can hold it to that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.plan import Plan

__all__ = ["stated"]


def stated(plan: Plan, *, allow_replace: Sequence[str]) -> dict[str, Any]:
    """The stack's own budget, the release that it runs, and the objects that it lets be replaced."""
    names = {"usd_per_month": "usdPerMonth", "gpus": "gpus", "memory_gib": "memoryGib"}
    budget = {names[key]: value for key, value in plan.budget.items()}
    signatures = [{"payload": payload, "signature": signature} for payload, signature in plan.signatures]
    release = {"release": {"sourceCommit": plan.source_commit, "signatures": signatures}} if plan.released else {}
    return {
        "stack": plan.stack,
        "environment": plan.environment,
        "budget": {**budget, "file": plan.stack_file} if budget else {},
        "allowReplace": list(allow_replace),
        **release,
    }
