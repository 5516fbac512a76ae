"""Settings of a cluster stack: an EKS cluster with everything that workload stacks expect of it."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, model_validator

from planner.settings._base import Name, Settings
from planner.settings.aws import CachedRegistry, Cidr, ClusterName, PrincipalArn, Zone

__all__ = ["AccessEntry", "ApiEndpoint", "Cluster", "GeneralNodes", "Monitoring", "PullThrough", "SystemNodes", "Vpc"]

InstanceTypes = Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
# The values that CloudWatch Logs accepts, from a day to ten years, without the longest ones.
LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
SecretArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:ecr-pullthroughcache/\S+$")
]


def _network(cidr: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"{cidr} is no address range: {error}") from None


class ApiEndpoint(Settings):
    """Who reaches the cluster's API server."""

    public_cidrs: Annotated[tuple[Cidr, ...], Field(max_length=40, strict=False)] = ()
    """Address ranges that reach it over the internet. None: it is reachable from inside the VPC only, and so must the
    machine be that deploys."""

    @model_validator(mode="after")
    def _not_everybody(self) -> ApiEndpoint:
        for cidr in self.public_cidrs:
            if _network(cidr).prefixlen < 8:
                raise ValueError(f"{cidr} is half of the internet or more; name your own ranges, e.g. 203.0.113.0/24")
        return self


class Vpc(Settings):
    """The network: made, or given by ids."""

    cidr: Cidr = "10.0.0.0/16"
    """Range of a VPC that is made; /16 to /20. It must not overlap with networks it will be peered with."""
    zones: Annotated[tuple[Zone, ...], Field(min_length=2, max_length=3, strict=False)] | None = None
    """Availability zones of a VPC that is made: two or three; by default the first three of the region."""
    nat: Literal["single", "per-zone"] = "single"
    """single: one NAT gateway for all zones, at a third of the price; when its zone fails, nodes of the others cannot
    reach the internet. per-zone: one in each."""
    id: Annotated[str, Field(pattern=r"^vpc-[0-9a-f]{8,17}$")] | None = None
    """A VPC that exists; then nothing of the network is made."""
    private_subnets: Annotated[
        tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...], Field(strict=False)
    ] = ()
    """Its private subnets, in at least two zones."""

    @model_validator(mode="after")
    def _made_or_given(self) -> Vpc:
        if self.id:
            if len(set(self.private_subnets)) < 2:
                raise ValueError("a VPC that exists needs private_subnets in at least two zones")
            if {"cidr", "zones", "nat"} & self.model_fields_set:
                raise ValueError("cidr, zones and nat belong to a VPC that is made; remove them beside id")
        elif self.private_subnets:
            raise ValueError("private_subnets go with the id of a VPC that exists")
        network = _network(self.cidr)
        if not 16 <= network.prefixlen <= 20:
            raise ValueError(f"{self.cidr} must be a /16 to a /20: smaller ones run out of addresses for pods")
        if not network.is_private:
            raise ValueError(f"{self.cidr} is not private; use 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
        if self.zones and len(set(self.zones)) != len(self.zones):
            raise ValueError("a zone is named twice")
        return self


class AccessEntry(Settings):
    """Who may do what in the cluster, by EKS access entries."""

    principal: PrincipalArn
    """IAM role or user."""
    policy: Literal["cluster-admin", "admin", "edit", "view"] = "view"
    """EKS access policy. Whoever deploys workload stacks needs cluster-admin: NodePools belong to no namespace."""
    namespaces: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Namespaces that it holds in; the whole cluster by default."""

    @model_validator(mode="after")
    def _scope_fits(self) -> AccessEntry:
        if self.policy == "cluster-admin" and self.namespaces:
            raise ValueError("cluster-admin holds in the whole cluster; use admin for namespaces")
        return self


class SystemNodes(Settings):
    """The managed node group that runs what makes other nodes."""

    instance_types: InstanceTypes = ("m7i.large", "m6i.large")
    """Types of the same size, in order of preference; 2 vCPU and 8 GiB hold the controllers twice."""
    count: Annotated[int, Field(ge=2, le=10)] = 2
    """Machines; two at least, in different zones."""
    volume_gib: Annotated[int, Field(ge=20, le=1000)] = 50
    """Disk of each."""


class GeneralNodes(Settings):
    """Karpenter's pool for pods without GPUs: applications, jobs, monitoring."""

    instance_types: InstanceTypes = (
        "c7i.xlarge", "c7i.2xlarge", "m6i.xlarge", "m6i.2xlarge", "m7i.xlarge", "m7i.2xlarge", "r7i.xlarge",
    )  # fmt: skip
    """Types that Karpenter may choose from."""
    cpu_cores: Annotated[int, Field(ge=4, le=10_000)] = 32
    """Cores of all nodes together; the pool never grows beyond."""
    volume_gib: Annotated[int, Field(ge=30, le=16_384)] = 100
    """Disk of each node; the image of a model server, which the job that fills the weights uses, takes 25 GiB."""
    spot: bool = False
    """Whether interruptible machines may be taken."""


class PullThrough(Settings):
    """Registries that ECR keeps copies of, so that nodes do not depend on them."""

    registries: Annotated[tuple[CachedRegistry, ...], Field(strict=False)] = ("ecr-public", "kubernetes", "quay")
    """Which ones. docker-hub needs credentials."""
    docker_hub_secret: SecretArn | None = None
    """ARN of the Secrets Manager secret with user name and access token of Docker Hub; ECR demands that its name begins
    with ``ecr-pullthroughcache/``."""

    @model_validator(mode="after")
    def _credentials(self) -> PullThrough:
        if ("docker-hub" in self.registries) != bool(self.docker_hub_secret):
            raise ValueError("docker-hub and docker_hub_secret go together: ECR asks Docker Hub with an account only")
        return self


class Monitoring(Settings):
    """Prometheus and Grafana."""

    kind: Literal["helm", "managed", "none"] = "helm"
    """helm: in the cluster. managed: Amazon Managed Service for Prometheus with an agentless scraper, and Amazon
    Managed Grafana. none: neither."""
    retention_days: Annotated[int, Field(ge=1, le=365)] = 15
    """Days that the cluster's own Prometheus keeps; Amazon's keeps 150."""
    volume_gib: Annotated[int, Field(ge=10, le=1000)] = 50
    """Its disk."""


class Cluster(Settings):
    """An EKS cluster of its own. Its stack has no applications; workload stacks name it."""

    name: ClusterName = "llmagentos"
    """Name in EKS; also begins the names of its roles."""
    kubernetes_version: Annotated[str, Field(pattern=r"^1\.(3[3-9]|4\d)$")] = "1.34"
    """Minor version. EKS upgrades one at a time, and never back."""
    endpoint: ApiEndpoint = ApiEndpoint()
    """Who reaches the API server."""
    vpc: Vpc = Vpc()
    """The network."""
    access: Annotated[dict[Name, AccessEntry], Field(min_length=1)]
    """Who may use the cluster. At least one cluster-admin: the creator gets no rights of its own, because nobody would
    see them."""
    log_days: LogDays = 365
    """Days that control-plane logs, the audit log among them, are kept. A year is what auditors usually ask for."""
    compute: Literal["karpenter", "auto-mode"] = "karpenter"
    """What makes nodes. karpenter: Karpenter, on nodes of a managed node group. auto-mode: EKS itself, which also
    brings network, DNS, volumes and the agent of pod identities, for a fee on every machine. Set once."""
    system_nodes: SystemNodes = SystemNodes()
    """Machines for controllers; EKS Auto Mode makes its own."""
    general_nodes: GeneralNodes = GeneralNodes()
    """Machines for pods without GPUs."""
    pull_through: PullThrough = PullThrough()
    """Registries that ECR keeps copies of."""
    monitoring: Monitoring = Monitoring()
    """Prometheus and Grafana."""
    addon_versions: dict[Name, Annotated[str, Field(pattern=r"^v[A-Za-z0-9_.-]+$")]] = {}
    """Versions of EKS add-ons; by default EKS takes the one it holds right for the Kubernetes version."""
    protect: bool = True
    """EKS refuses to delete the cluster while this is true."""

    @model_validator(mode="after")
    def _someone_may(self) -> Cluster:
        if not any(entry.policy == "cluster-admin" for entry in self.access.values()):
            raise ValueError("nobody is cluster-admin; name at least the role that deploys this stack")
        principals = [entry.principal for entry in self.access.values()]
        if len(set(principals)) != len(principals):
            raise ValueError("a principal stands in access twice; EKS keeps one entry for each")
        unknown = sorted(set(self.addon_versions) - set(ADDONS))
        if self.compute == "auto-mode":
            if "system_nodes" in self.model_fields_set:
                raise ValueError("EKS Auto Mode makes the machines for controllers itself; remove system_nodes")
            brought = sorted(set(self.addon_versions) - {"metrics-server"})
            if brought:
                raise ValueError(f"EKS Auto Mode brings {', '.join(brought)} itself; remove them from addon_versions")
        if unknown:
            raise ValueError(f"addon_versions names {', '.join(unknown)}; the add-ons are {', '.join(ADDONS)}")
        return self


ADDONS = (
    "aws-ebs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "metrics-server", "vpc-cni",
)  # fmt: skip
"""EKS add-ons of a cluster stack."""
