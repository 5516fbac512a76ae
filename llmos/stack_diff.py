"""How two stacks differ: what their files say, what was released into them, sizing, limits, cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmos.against.fields import FieldChange, differences
from llmos.checks import configuration
from llmos.packs import PACK
from llmos.stacks import Stack
from planner.plan import AWAITED, Plan

__all__ = ["Row", "stack_differences"]

_LIMITS = {
    "usd_per_month": "monthly-cost", "gpus": "gpu-count", "memory_gib": "memory-total", "replicas": "replica-count",
}  # fmt: skip
_SIZED = (
    "instance_type", "fallbacks", "gpus", "tensor_parallel", "pipeline_parallel", "quantization", "max_sequences",
    "batched_tokens", "replicas_min", "replicas_max", "cpu_cores", "memory_gib",
)  # fmt: skip

_WHOLE = 300
"""A reference with its digest is shown whole: that is what people look for."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One difference; a side is empty where there is no such thing.

    Attributes:
        section: ``settings``, ``release``, ``sizing``, ``limits``, ``policies`` or ``cost``.
        path: what differs.
        first: value in the first stack.
        second: value in the second.
    """

    section: str
    path: str
    first: str
    second: str


def stack_differences(first: Stack, second: Stack) -> list[Row]:
    """Everything that differs, section by section. Neither a cluster nor a registry is asked."""
    sections: list[tuple[str, Any, Any]] = [
        ("settings", first.raw, second.raw),
        ("release", _release(first), _release(second)),
        ("sizing", _sizing(first.plan), _sizing(second.plan)),
        ("limits", _limits(first), _limits(second)),
        ("policies", _levels(first), _levels(second)),
        ("cost", _cost(first.plan), _cost(second.plan)),
    ]
    return [_row(section, change) for section, a, b in sections for change in differences(a, b, longest=_WHOLE)]


def _row(section: str, change: FieldChange) -> Row:
    return Row(section=section, path=change.path, first=change.before, second=change.after)


def _release(stack: Stack) -> dict[str, Any]:
    """What runs after the next `up`: digests as they are known, and where the others come from."""
    plan = stack.plan
    images = {owner.name: plan.image(owner.image) for owner in (*plan.applications, *plan.models)}
    return {
        "images": {
            name: image.ref or (f"built from {image.build}" if image.build else "not promoted yet")
            for name, image in images.items()
        },
        "revisions": {
            model.name: "not promoted yet" if model.revision == AWAITED else model.revision
            for model in plan.models if model.revision
        },
        "source_commit": plan.source_commit or None,
        "promoted_at": stack.lock.release.promoted_at or None if plan.released else None,
    }  # fmt: skip


def _sizing(plan: Plan) -> dict[str, Any]:
    models = {model.name: {key: getattr(model, key) for key in _SIZED} for model in plan.models}
    applications = {
        app.name: {key: getattr(app, key) for key in ("replicas_min", "replicas_max", "cpu_cores", "memory_gib")}
        for app in plan.applications
    }
    return {**applications, **models}


def _limits(stack: Stack) -> dict[str, Any]:
    """The lower one of what the environment and the stack file allow, as policies apply it."""
    policies = configuration.read(PACK / "config", stack.plan.environment)
    found: dict[str, Any] = {}
    for key, rule in _LIMITS.items():
        settings = policies.get(rule)
        stated = [stack.plan.budget.get(key), settings.get(key) if isinstance(settings, Mapping) else None]
        known = [float(value) for value in stated if value is not None]
        found[key] = min(known) if known else None
    return found


def _levels(stack: Stack) -> dict[str, Any]:
    """Levels and settings of policies, limits left out."""
    policies = configuration.read(PACK / "config", stack.plan.environment)
    limits = {*_LIMITS.values(), "budget-warning"}
    return {rule: value for rule, value in policies.items() if rule not in limits}


def _cost(plan: Plan) -> dict[str, Any]:
    return {"usd_per_month": _usd(plan.usd_per_month), "usd_per_month_min": _usd(plan.usd_per_month_min)}


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.2f} USD"

