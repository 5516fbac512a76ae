"""The plan: everything that is decided before anything is created. Plain frozen values, no behaviour but JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from planner.plan.aws_types import AwsPlan, ClusterPlan, ServiceCost
from planner.plan.builds import BuildsPlan
from planner.plan.canary import CanaryPlan
from planner.plan.model_plan import ModelPlan, ScheduledMinimum
from planner.plan.serving import ScrapePlan

__all__ = [
    "AWAITED",
    "ApplicationPlan",
    "CanaryPlan",
    "CostItem",
    "Decision",
    "GpuPoolPlan",
    "ImagePlan",
    "ModelPlan",
    "NamespacePlan",
    "Plan",
    "QueuePlan",
    "RegistryPlan",
    "Rejected",
    "ScheduledMinimum",
]


AWAITED = "awaited"
"""Stands for a model revision that a promotion has yet to write."""


@dataclass(frozen=True, kw_only=True)
class NamespacePlan:
    """The namespace, and what its quota admits: the stack at its maximum plus one rollout. ``quota_slices`` holds parts
    of GPUs by the resource that stands for them."""

    name: str
    create: bool
    fence: bool
    quota_cpu_cores: float
    quota_memory_gib: float
    quota_gpus: int
    quota_slices: dict[str, int]
    quota_pods: int


@dataclass(frozen=True, kw_only=True)
class RegistryPlan:
    """Where built images go. ``server`` is host[:port][/path]; ``pull_secret`` the name of a Secret, or empty."""

    server: str
    pull_secret: str


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """One container image: built from ``build`` (a folder), an existing ``ref`` with digest, one whose digest is looked
    up by ``tag``, or none of these while the lock of a stack names none yet."""

    name: str
    ref: str = ""
    tag: str = ""
    build: str = ""
    platforms: tuple[str, ...] = ()
    base_image: str = ""

    @property
    def awaited(self) -> bool:
        """Whether a promotion has yet to say which image this is."""
        return not (self.ref or self.tag or self.build)


@dataclass(frozen=True, kw_only=True)
class QueuePlan:
    """A queue that an autoscaler reads: where, PromQL with one value, and how much of it another replica is for."""

    prometheus_url: str
    query: str
    per_replica: float


@dataclass(frozen=True, kw_only=True)
class ApplicationPlan:
    """One application. ``adapter`` is that of its model, or empty; ``autoscale_cpu_percent`` is 0 for a fixed number of
    replicas; ``schedule`` is ``None`` without a history of requests. Without it and ``queue`` a plain HPA scales."""

    name: str
    image: str
    preset: str
    command: tuple[str, ...]
    model: str
    adapter: str
    replicas_min: int
    replicas_max: int
    autoscale_cpu_percent: int
    port: int
    cpu_cores: float
    memory_gib: float
    env: dict[str, str]
    secrets: dict[str, tuple[str, str]]
    generated_key_secret: str
    endpoint_port: int
    endpoint_type: str
    endpoint_auth: str
    endpoint_create: bool
    stream_seconds: int
    rollout_timeout_seconds: int
    pod_overrides: dict[str, Any]
    schedule: tuple[ScheduledMinimum, ...] | None = None
    queue: QueuePlan | None = None
    canary: CanaryPlan | None = None


@dataclass(frozen=True, kw_only=True)
class GpuPoolPlan:
    """Where GPU nodes come from, and at most how many GPUs they may have together.

    ``on_demand_gpus`` are those of the nodes that the floors of all models fill; ``reserved``: nodes that are paid for
    already may be taken; no ``zones`` means any.
    """

    kind: str
    name: str
    instance_types: tuple[str, ...]
    spot: bool
    max_gpus: int
    selector: dict[str, str]
    node_class: tuple[str, str, str]
    on_demand_gpus: int = 0
    reserved: bool = False
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """An option that was looked at, and the reason why it was not taken."""

    option: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Why a thing is as it is. ``subject`` is the YAML path decided; prices are USD per hour of one replica."""

    subject: str
    chosen: str
    binding: str
    runner_up: str
    rejected: tuple[Rejected, ...]
    price_source: str
    price_date: str


@dataclass(frozen=True, kw_only=True)
class CostItem:
    """Nodes of one instance type for one model. A price that is not known is ``None`` and prints as "unknown"."""

    subject: str
    instance_type: str
    nodes_min: int
    nodes_max: int
    usd_per_hour: float | None
    price_source: str
    price_date: str
    usd_per_month_min: float | None
    usd_per_month_max: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All decisions of one stack.

    The same stack file, lock and catalogue give the same plan: nothing of the machine, the time or the user enters it.
    ``usd_per_month`` is the list price at maximum scale, ``usd_per_month_min`` without load; both are ``None`` when
    a price is unknown. Capacity that exists already (CPU nodes, ``gpu_pool.kind: existing``) is not priced.
    ``released`` says that images come from the lock; ``source_commit`` and ``signatures`` (pairs of payload and
    signature) are those of the promoted release.
    ``allow_replace`` names objects that may be deleted and created again, e.g. ``Deployment/chat``, and ``adopt``
    existing ones that may be taken over.
    ``services``, ``aws`` and ``cluster`` are of target aws; a stack with ``cluster`` has no applications.
    """

    stack: str
    environment: str
    target: str
    context: str
    namespace: NamespacePlan
    registry: RegistryPlan
    builds: BuildsPlan
    images: tuple[ImagePlan, ...]
    applications: tuple[ApplicationPlan, ...]
    models: tuple[ModelPlan, ...]
    gpu_pool: GpuPoolPlan | None
    prometheus_url: str
    scrape: ScrapePlan | None
    budget: dict[str, float]
    costs: tuple[CostItem, ...]
    usd_per_month_min: float | None
    usd_per_month: float | None
    decisions: tuple[Decision, ...]
    stack_file: str
    released: bool = False
    source_commit: str = ""
    signatures: tuple[tuple[str, str], ...] = ()
    allow_replace: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()
    services: tuple[ServiceCost, ...] = ()
    aws: AwsPlan | None = None
    cluster: ClusterPlan | None = None
    schema: int = field(default=1)

    def to_json(self) -> str:
        """The plan as JSON, byte for byte the same for the same input."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def scraped(self, application: ApplicationPlan) -> ScrapePlan | None:
        """Who collects the metrics of an application: only those of its queue are asked for."""
        return self.scrape if application.queue else None

    def image(self, name: str) -> ImagePlan:
        """The image of that name; plans refer to images only by names that exist."""
        return next(image for image in self.images if image.name == name)
