"""Settings -> plan. Pure and deterministic: no clock, no network, no environment."""

from planner.plan.images import awaited, promoted
from planner.plan.make import make_plan
from planner.plan.types import (
    AWAITED,
    ApplicationPlan,
    CostItem,
    Decision,
    GpuPoolPlan,
    ImagePlan,
    ModelPlan,
    NamespacePlan,
    Plan,
    RegistryPlan,
    Rejected,
)

__all__ = [
    "AWAITED",
    "ApplicationPlan",
    "CostItem",
    "Decision",
    "GpuPoolPlan",
    "ImagePlan",
    "ModelPlan",
    "NamespacePlan",
    "Plan",
    "RegistryPlan",
    "Rejected",
    "awaited",
    "make_plan",
    "promoted",
]
