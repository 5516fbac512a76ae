"""Settings -> plan. Pure and deterministic: no clock, no network, no environment."""

from planner.plan.builds import FIXED_EPOCH, BuildsPlan
from planner.plan.images import awaited, promoted
from planner.plan.make import make_plan
from planner.plan.serving import GatewayPlan, ScrapePlan
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
    ScheduledMinimum,
)

__all__ = [
    "AWAITED",
    "FIXED_EPOCH",
    "ApplicationPlan",
    "BuildsPlan",
    "CostItem",
    "Decision",
    "GatewayPlan",
    "GpuPoolPlan",
    "ImagePlan",
    "ModelPlan",
    "NamespacePlan",
    "Plan",
    "RegistryPlan",
    "Rejected",
    "ScheduledMinimum",
    "ScrapePlan",
    "awaited",
    "make_plan",
    "promoted",
]
