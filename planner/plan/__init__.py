"""Settings -> plan. Pure and deterministic: no clock, no network, no environment."""

from planner.plan.aws_caches import through_cache
from planner.plan.aws_nodes import node_role, subnet_tag
from planner.plan.aws_types import (
    ArtifactPlan,
    AwsPlan,
    CachePlan,
    ClusterPlan,
    EntryPlan,
    GpuGroupPlan,
    GpuNodesPlan,
    NetworkPlan,
    ServiceCost,
    SubnetPlan,
    WeightsPlan,
)
from planner.plan.builds import FIXED_EPOCH, BuildsPlan
from planner.plan.canary import TRACK, canary_egress, canary_name, canary_objects
from planner.plan.hub import EgressPlan, HubPlan
from planner.plan.images import awaited, promoted
from planner.plan.make import make_plan
from planner.plan.model_plan import ServerPart
from planner.plan.rollout import APPLICATION_START_SECONDS
from planner.plan.serving import GatewayPlan, ScrapePlan
from planner.plan.types import (
    AWAITED,
    ApplicationPlan,
    CanaryPlan,
    CostItem,
    Decision,
    GpuPoolPlan,
    ImagePlan,
    ModelPlan,
    NamespacePlan,
    Plan,
    QueuePlan,
    RegistryPlan,
    Rejected,
    ScheduledMinimum,
)
from planner.plan.weights import AdapterPlan, ModelWeightsPlan

__all__ = [
    "APPLICATION_START_SECONDS",
    "AWAITED",
    "FIXED_EPOCH",
    "TRACK",
    "AdapterPlan",
    "ApplicationPlan",
    "ArtifactPlan",
    "AwsPlan",
    "BuildsPlan",
    "CachePlan",
    "CanaryPlan",
    "ClusterPlan",
    "CostItem",
    "Decision",
    "EgressPlan",
    "EntryPlan",
    "GatewayPlan",
    "GpuGroupPlan",
    "GpuNodesPlan",
    "GpuPoolPlan",
    "HubPlan",
    "ImagePlan",
    "ModelPlan",
    "ModelWeightsPlan",
    "NamespacePlan",
    "NetworkPlan",
    "Plan",
    "QueuePlan",
    "RegistryPlan",
    "Rejected",
    "ScheduledMinimum",
    "ScrapePlan",
    "ServerPart",
    "ServiceCost",
    "SubnetPlan",
    "WeightsPlan",
    "awaited",
    "canary_egress",
    "canary_name",
    "canary_objects",
    "make_plan",
    "node_role",
    "promoted",
    "subnet_tag",
    "through_cache",
]
