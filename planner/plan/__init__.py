"""Settings -> plan. Pure and deterministic: no clock, no network, no environment."""

from planner.plan.make import make_plan
from planner.plan.types import (
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
    "make_plan",
]
