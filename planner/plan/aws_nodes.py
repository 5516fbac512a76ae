"""The machines of a GPU pool on AWS: made by Karpenter or EKS Auto Mode for pods, or kept by EKS in node groups."""

from __future__ import annotations

import math

from planner.catalogue import Catalogue
from planner.plan.aws_types import GpuGroupPlan, GpuNodesPlan
from planner.plan.types import CostItem, GpuPoolPlan, ModelPlan
from planner.settings.aws import NEEDS_DEVICE_PLUGIN, AwsSettings, ClusterReference, GpuNodes

__all__ = ["node_role", "plan_gpu_nodes", "subnet_tag"]

# Unpacked, vLLM's image takes 25 GiB; twice, so that an update fits beside the old one.
_NODE_IMAGE_GIB = 50
# Two thirds of what EKS Auto Mode allows at most.
_AUTO_EXPIRE_HOURS = 336
_AMI_TYPES = {"bottlerocket": "BOTTLEROCKET_x86_64_NVIDIA", "al2023": "AL2023_x86_64_NVIDIA"}
"""EKS' names of the images with NVIDIA's driver.
Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html"""


def node_role(cluster: str, region: str) -> str:
    """Name of the IAM role of the nodes that Karpenter makes. IAM knows no regions, so the name holds it."""
    return f"{cluster}-{region}-node"


def subnet_tag(cluster: str) -> str:
    """Key of the tag on subnets for nodes. It holds the cluster's name, because clusters may share subnets; EKS sets
    the same one on the cluster's security group, with the value ``owned``."""
    return f"kubernetes.io/cluster/{cluster}"


def plan_gpu_nodes(
    aws: AwsSettings,
    cluster: ClusterReference,
    *,
    stack: str,
    pool: GpuPoolPlan | None,
    models: tuple[ModelPlan, ...],
    costs: tuple[CostItem, ...],
    catalogue: Catalogue,
) -> GpuNodesPlan | None:
    """What the stack says about GPU machines; ``None`` where it brings none.

    Args:
        aws: of the stack file.
        cluster: that the machines join.
        stack: the stack's name.
        pool: the pool of the plan.
        models: those on GPUs decide the size of disks.
        costs: machines of each model.
        catalogue: GPUs of a machine.
    """
    if pool is None or pool.kind == "existing" or pool.node_class[2]:
        return None
    nodes, tag = aws.gpu_nodes, subnet_tag(cluster.name)
    managed, auto = pool.kind == "managed-node-group", pool.kind == "auto-mode"
    floor = _floor(nodes, pool, models)
    role = cluster.node_role or node_role(cluster.name, aws.region)
    return GpuNodesPlan(
        image_alias=f"{nodes.image}@{nodes.image_version}",
        device_plugin=not auto and NEEDS_DEVICE_PLUGIN[nodes.image],
        # EKS strikes the role of a node group off its lists with the group, and Karpenter's nodes would go with it.
        role=f"llmagentos-{stack}-{aws.region}-gpu" if managed else role,
        subnet_tags=cluster.subnet_tags or {tag: "*"},
        security_group_tags=cluster.security_group_tags or {tag: "owned"},
        zones=pool.zones or tuple(sorted(nodes.zones)),
        on_demand_gpus=floor if pool.spot else 0,
        volume_gib=nodes.volume_gib or _volume_gib(models),
        expire_after_hours=_expiry(nodes, auto=auto),
        capacity_reservations=nodes.capacity_reservations,
        auto_mode=auto,
        ami_type=_AMI_TYPES[nodes.image] if managed else "",
        groups=_groups(pool, models, costs, floor=floor, catalogue=catalogue) if managed else (),
    )


def _expiry(nodes: GpuNodes, *, auto: bool) -> int:
    stated = "expire_after_hours" in nodes.model_fields_set
    return _AUTO_EXPIRE_HOURS if auto and not stated else nodes.expire_after_hours


def _floor(nodes: GpuNodes, pool: GpuPoolPlan, models: tuple[ModelPlan, ...]) -> int:
    """GPUs on demand under a spot pool."""
    idle = sum(model.replicas_min * model.gpus for model in models)
    # Models with a floor of their own have pods that wait for nodes on demand, whatever is stated.
    wanted = pool.on_demand_gpus or (idle if nodes.on_demand_gpus is None else nodes.on_demand_gpus)
    return min(pool.max_gpus, max(wanted, pool.on_demand_gpus))


def _groups(
    pool: GpuPoolPlan, models: tuple[ModelPlan, ...], costs: tuple[CostItem, ...], *, floor: int, catalogue: Catalogue
) -> tuple[GpuGroupPlan, ...]:
    """One for each model, because a group takes any of its types and models differ in theirs. The floor is filled model
    by model, in whole machines."""
    machines = {cost.subject: cost.nodes_max for cost in costs}
    left, made = floor, []
    for model in (model for model in models if model.gpus):
        count, gpus = machines[f"models.{model.name}"], catalogue.instances[model.instance_type].gpus
        on_demand = min(count, math.ceil(left / gpus)) if pool.spot else count
        left = max(0, left - on_demand * gpus)
        types = (model.instance_type, *model.fallbacks)
        made.append(
            GpuGroupPlan(model=model.name, instance_types=types, on_demand=on_demand, spot=count - on_demand)
        )
    return tuple(made)


def _volume_gib(models: tuple[ModelPlan, ...]) -> int:
    """Room for the image and for the weights of the replicas that may share a node; 200 GiB where a size is unknown."""
    largest = max((model.weights_gib or 150 for model in models if model.gpus), default=0)
    return _NODE_IMAGE_GIB + math.ceil(largest * 4 / 3 / 10) * 10
