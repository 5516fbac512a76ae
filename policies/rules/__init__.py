"""The rules of the pack, one concern a module. A rule reads resource properties only, and only those of its resource or stack."""

from __future__ import annotations

from . import (
    budgets,
    exposure,
    gpus,
    images,
    model_server,
    models,
    pod_security_baseline,
    pod_security_restricted,
    resources,
    secrets,
)
from ._once import install
from ._policy import policy_of

__all__ = ["POLICIES", "RULES"]

RULES = tuple(
    rule
    for module in (
        budgets, exposure, models, model_server, gpus, images, secrets, resources, pod_security_baseline, pod_security_restricted
    )
    for rule in module.RULES
)

install()
POLICIES = [policy_of(rule) for rule in RULES]
