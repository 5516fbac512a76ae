"""Settings of target aws: account, region, cluster, and what the stack keeps there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from planner.settings._base import ImageRef, Name, Settings

__all__ = [
    "AccountId",
    "Alerts",
    "AwsRegistry",
    "AwsSettings",
    "CachedRegistry",
    "Cidr",
    "ClusterName",
    "ClusterReference",
    "Email",
    "Entry",
    "Estimates",
    "GpuNodes",
    "PrincipalArn",
    "WeightStore",
    "Zone",
]


def _own_tag(key: str) -> str:
    if key.startswith("aws:"):
        raise ValueError("tags that begin with aws: belong to AWS")
    return key


CachedRegistry = Literal["docker-hub", "ecr-public", "kubernetes", "quay"]
AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
# EKS allows 100 characters; names of roles derive from it, and IAM allows those 64.
ClusterName = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=38)]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d$")]
Zone = Annotated[str, Field(pattern=r"^[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d[a-z]$")]
Email = Annotated[str, Field(pattern=r"^[^\s@<>,]+@[^\s@<>,]+\.[^\s@<>,]+$", max_length=50)]
Cidr = Annotated[str, Field(pattern=r"^(\d{1,3}\.){3}\d{1,3}/\d{1,2}$")]
PrincipalArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+$", max_length=512)
]
CertificateArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9_-]+$")
]
CapacityReservation = Annotated[str, Field(pattern=r"^cr-[0-9a-z]+$")]
TagKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_ .:/=+@-]+$", max_length=128), AfterValidator(_own_tag)]
TagValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9_ .:/=+@*-]*$", max_length=256)]

NEEDS_DEVICE_PLUGIN = {"al2023": True, "bottlerocket": False}
"""Whether a node image leaves the NVIDIA device plugin to the cluster. The NVIDIA variant of Amazon Linux 2023 lacks
it, Bottlerocket's brings it; two of them on a node register the same GPUs twice.
Source: https://docs.aws.amazon.com/eks/latest/userguide/device-management-nvidia.html"""


class ClusterReference(Settings):
    """An EKS cluster that exists: made by a cluster stack of this program, or by anything else with the parts that
    docs/aws.md lists."""

    name: ClusterName
    """Name in EKS."""
    stack: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")] | None = None
    """``organization/project/stack`` of its cluster stack. Its outputs are then read instead of asking EKS."""
    caches: Annotated[tuple[CachedRegistry, ...], Field(strict=False)] = ()
    """Registries that the cluster's pull-through cache keeps copies of: ``cluster.pull_through.registries`` of its
    stack. Builds then take their base images from there."""
    node_role: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]+$", max_length=64)] | None = None
    """Name of the IAM role of Karpenter's nodes; by default what a cluster stack calls it, ``<name>-<region>-node``."""
    subnet_tags: dict[TagKey, TagValue] = {}
    """Tags of the subnets for nodes; by default those that a cluster stack sets. ``*`` stands for any value."""
    security_group_tags: dict[TagKey, TagValue] = {}
    """Tags of the security groups for nodes; by default that of the cluster's own group."""


class AwsRegistry(Settings):
    """ECR repositories, one for each image that the stack builds."""

    untagged_days: Annotated[int, Field(ge=1, le=3650)] = 14
    """Days after which an image without a tag goes. Tagged ones never do, and a tag cannot be moved, so that a digest
    which was pushed with a tag, as all of ours are, is never taken from a lock that names it."""
    pullers: Annotated[tuple[AccountId, ...], Field(strict=False)] = ()
    """Further accounts that may pull, e.g. that of prod."""


class GpuNodes(Settings):
    """The machines behind ``gpu_pool``."""

    image: Literal["bottlerocket", "al2023"] = "bottlerocket"
    """Node image: Bottlerocket's NVIDIA variant, which brings the device plugin and has no shell, or Amazon Linux
    2023's, for which the cluster has to bring it."""
    image_version: Annotated[str, Field(pattern=r"^(latest|v[A-Za-z0-9_.-]+)$", max_length=20)] = "latest"
    """Version, e.g. v1.48.0 (Bottlerocket) or v20260801 (AL2023). latest: nodes are replaced by newer ones as images
    appear; name a version where that must wait for a test."""
    device_plugin: bool | None = None
    """Whether the cluster brings NVIDIA's device plugin for these nodes; by default what the image needs. Stated, it
    must fit the image."""
    zones: Annotated[tuple[Zone, ...], Field(strict=False)] = ()
    """Availability zones; all of the cluster's by default."""
    on_demand_gpus: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """With ``gpu_pool.spot``: GPUs that are on demand all the same; by default what the models need without load."""
    volume_gib: Annotated[int, Field(ge=30, le=16_384)] | None = None
    """Disk of a node; by default room for the image, twice, and for the weights."""
    expire_after_hours: Annotated[int, Field(ge=24, le=8760)] = 720
    """Age at which a node is replaced. A month: long enough for models that load for minutes, short enough for
    patched images."""
    capacity_reservations: Annotated[tuple[CapacityReservation, ...], Field(strict=False)] = ()
    """On-demand capacity reservations or capacity blocks, which are used first."""

    @model_validator(mode="after")
    def _plugin_fits(self) -> GpuNodes:
        needed = NEEDS_DEVICE_PLUGIN[self.image]
        if self.device_plugin is not None and self.device_plugin is not needed:
            why = "lacks the device plugin, and no GPU would be seen" if needed else "brings the device plugin itself"
            raise ValueError(f"image {self.image} {why}; set device_plugin: {str(needed).lower()}, or leave it out")
        return self


class WeightStore(Settings):
    """Where model servers on GPUs find their weights."""

    source: Literal["s3", "hub"] = "s3"
    """s3: a bucket of the stack, filled once at the pinned revision and verified; servers then never ask the hub.
    hub: each server downloads by itself."""
    image: ImageRef | None = None
    """Image with Python 3 for the filling job and the init containers; by default the model server's own, which the
    node pulls anyway."""


class Entry(Settings):
    """An application's name in DNS, with TLS at a load balancer."""

    host: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)]
    """Full name, e.g. assistant.example.com."""
    zone_id: Annotated[str, Field(pattern=r"^Z[A-Z0-9]{1,31}$")]
    """Route 53 hosted zone that the record is written to; must be public, because ACM looks there for its proof."""
    certificate: CertificateArn | None = None
    """An ACM certificate that exists; by default one is made for ``host``."""
    public: bool = False
    """Whether the internet reaches it: behind a web application firewall, and with ``endpoint.auth: api-key`` only."""
    kind: Literal["nlb", "alb", "gateway"] | None = None
    """nlb: a network load balancer, always internal. alb: an application load balancer, by an Ingress. gateway: one by
    Gateway API, on a cluster with its types and the class ``aws-alb``. By default nlb, and alb where it is public."""
    sources: Annotated[tuple[Cidr, ...], Field(strict=False)] = ()
    """Address ranges that may connect; by default the VPC's peers and itself (internal), or everybody (public)."""
    requests_per_5_minutes: Annotated[int, Field(ge=10, le=2_000_000_000)] = 2000
    """Public: requests of one address in 5 minutes, above which the firewall blocks it."""


class Alerts(Settings):
    """Who is told."""

    emails: Annotated[tuple[Email, ...], Field(max_length=10, strict=False)] = ()
    """Addresses for alarms and for AWS Budgets, which takes at most ten."""


class Estimates(Settings):
    """Monthly amounts behind those parts of the price that depend on use. They change no resource."""

    nat_gib: Annotated[float, Field(ge=0, strict=False)] = 100
    """Data through NAT gateways: images of other registries, packages, the hub."""
    log_gib: Annotated[float, Field(ge=0, strict=False)] = 20
    """Control-plane and flow logs taken in. A busy API server's audit log alone is some 10 GiB."""
    load_balancer_gib: Annotated[float, Field(ge=0, strict=False)] = 50
    """Requests and answers through one load balancer."""
    image_gib: Annotated[float, Field(ge=0, strict=False)] = 10
    """Images kept in one repository."""
    endpoint_gib: Annotated[float, Field(ge=0, strict=False)] = 200
    """Data through interface endpoints: image layers of ECR."""


class AwsSettings(Settings):
    """Where on AWS, and what the stack has there."""

    account: AccountId
    """Account number; the provider refuses credentials of any other."""
    region: Region
    """Region, e.g. us-east-1."""
    cluster: ClusterReference | None = None
    """The EKS cluster, by name or as a map; a cluster stack has none."""
    role: PrincipalArn | None = None
    """Role that the deployer assumes; its own credentials by default."""
    tags: dict[TagKey, TagValue] = {}
    """Tags of everything, beside the program's own."""
    registry: AwsRegistry = AwsRegistry()
    """ECR repositories, unless the stack names another registry."""
    gpu_nodes: GpuNodes = GpuNodes()
    """Machines of the GPU pool."""
    weights: WeightStore = WeightStore()
    """Where weights are kept."""
    entries: dict[Name, Entry] = {}
    """Names in DNS, by application."""
    alerts: Alerts = Alerts()
    """Who is told of alarms and budgets."""
    estimates: Estimates = Estimates()
    """Monthly amounts for the price."""

    @field_validator("cluster", mode="before", json_schema_input_type=ClusterName | ClusterReference | None)
    @classmethod
    def _by_name(cls, cluster: Any) -> Any:
        if cluster is None or isinstance(cluster, Mapping | ClusterReference):
            return cluster
        return {"name": cluster}
