"""The parts of a plan that only target aws has. Plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.plan.hub import HubPlan

__all__ = [
    "ArtifactPlan",
    "AwsPlan",
    "CachePlan",
    "ClusterPlan",
    "EntryPlan",
    "GpuGroupPlan",
    "GpuNodesPlan",
    "NetworkPlan",
    "ServiceCost",
    "SubnetPlan",
    "WeightsPlan",
]


@dataclass(frozen=True, kw_only=True)
class ServiceCost:
    """A service that is paid for beside nodes. ``quantity`` units of ``unit`` a month (at most) at ``usd`` each; a
    price that is not known is ``None``. ``assumption`` says where the quantity comes from."""

    subject: str
    service: str
    quantity_min: float
    quantity_max: float
    unit: str
    usd: float | None
    price_source: str
    price_date: str
    assumption: str
    usd_per_month_min: float | None
    usd_per_month_max: float | None


@dataclass(frozen=True, kw_only=True)
class GpuGroupPlan:
    """Machines that EKS keeps for one model: ``on_demand`` and ``spot`` many of the first type that can be had."""

    model: str
    instance_types: tuple[str, ...]
    on_demand: int
    spot: int


@dataclass(frozen=True, kw_only=True)
class GpuNodesPlan:
    """GPU nodes: what an EC2NodeClass and its NodePools say, a NodeClass of EKS Auto Mode, or managed node ``groups``
    (of machine image ``ami_type``). With ``auto_mode`` EKS brings image and disks' layout. ``on_demand_gpus`` is the
    floor under a spot pool, 0 without one; ``device_plugin`` whether nodes wait for the cluster's device plugin."""

    image_alias: str
    device_plugin: bool
    role: str
    subnet_tags: dict[str, str]
    security_group_tags: dict[str, str]
    zones: tuple[str, ...]
    on_demand_gpus: int
    volume_gib: int
    expire_after_hours: int
    capacity_reservations: tuple[str, ...]
    auto_mode: bool = False
    ami_type: str = ""
    groups: tuple[GpuGroupPlan, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ArtifactPlan:
    """One revision of a repository on the hub; ``sha256`` by file is empty where the hub's own list is taken."""

    source: str
    revision: str
    sha256: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class WeightsPlan:
    """What is copied into the stack's bucket for one model, and how the hub is reached for that. The filling Job runs
    ``image_ref``, or the image named ``image`` where that is empty."""

    model: str
    artifacts: tuple[ArtifactPlan, ...]
    hub: HubPlan
    image: str
    image_ref: str
    timeout_seconds: int


@dataclass(frozen=True, kw_only=True)
class EntryPlan:
    """An application's name in DNS. An empty ``certificate`` means that one is made; ``kind`` is nlb, alb or
    gateway."""

    application: str
    host: str
    zone_id: str
    certificate: str
    public: bool
    kind: str
    sources: tuple[str, ...]
    requests_per_5_minutes: int


@dataclass(frozen=True, kw_only=True)
class SubnetPlan:
    """One subnet of a network that is made."""

    zone: str
    cidr: str
    public: bool


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """The network of a cluster. With ``vpc_id``, one that exists, ``subnets`` is empty."""

    vpc_id: str
    private_subnet_ids: tuple[str, ...]
    cidr: str
    subnets: tuple[SubnetPlan, ...]
    nat_zones: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CachePlan:
    """A registry that ECR keeps copies of: images of ``upstream`` stand under ``prefix`` of the account's registry."""

    name: str
    prefix: str
    upstream: str
    credential: str


@dataclass(frozen=True, kw_only=True)
class ClusterPlan:
    """A cluster stack. ``access`` holds (name, principal, policy, namespaces)."""

    name: str
    kubernetes_version: str
    public_cidrs: tuple[str, ...]
    network: NetworkPlan
    access: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    log_days: int
    system_types: tuple[str, ...]
    system_count: int
    system_volume_gib: int
    general_types: tuple[str, ...]
    general_cpu_cores: int
    general_volume_gib: int
    general_spot: bool
    caches: tuple[CachePlan, ...]
    monitoring: str
    monitoring_days: int
    monitoring_volume_gib: int
    addon_versions: dict[str, str]
    protect: bool
    auto_mode: bool = False


@dataclass(frozen=True, kw_only=True)
class AwsPlan:
    """Where on AWS the stack is, and what it has there.

    ``cluster_name`` is that of the cluster it makes or runs on; ``cluster_stack`` the cluster's stack, empty where EKS
    is asked by name; ``cache_prefixes`` begin repositories that copy the registries of these hosts; ``node_role`` is
    the IAM role of its nodes. ``repositories`` are the images that get an ECR repository; ``registry_name`` begins
    their names.
    ``promises`` are TTFT and TPOT in milliseconds by model, ``node_prices`` USD per hour by instance type of the pool.
    ``bucket`` holds weights, and ``store`` is how scripts name it; both are empty without.
    """

    account: str
    region: str
    partition: str
    role: str
    tags: dict[str, str]
    cluster_name: str
    cluster_stack: str
    cache_prefixes: dict[str, str]
    node_role: str
    registry_name: str
    repositories: tuple[str, ...]
    untagged_days: int
    pullers: tuple[str, ...]
    gpu_nodes: GpuNodesPlan | None
    weights: tuple[WeightsPlan, ...]
    bucket: str
    store: str
    entries: tuple[EntryPlan, ...]
    promises: dict[str, tuple[int, int]]
    node_prices: dict[str, float]
    alert_emails: tuple[str, ...]
    budget_usd: float | None
    schema: int = field(default=1)

    def arn(self, service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
        """The ARN of a resource of this account and region; pass an empty text for services that have none."""
        region = self.region if region is None else region
        account = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"

    @property
    def registry_server(self) -> str:
        """Host of the account's ECR registry."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"{self.account}.dkr.ecr.{self.region}.{suffix}"
