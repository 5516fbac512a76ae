"""Settings of a whole stack: the root of the stack file."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from planner.settings._base import Name, Settings, service_namespace
from planner.settings.applications import Application
from planner.settings.aws import AwsSettings
from planner.settings.builds import Builds
from planner.settings.cluster import Cluster
from planner.settings.gitops import GitOps
from planner.settings.models import Model
from planner.settings.pools import GpuPool
from planner.settings.serving import Scrape
from planner.settings.weights import Hub

__all__ = [
    "Budget",
    "CatalogRows",
    "NamespaceSettings",
    "Observability",
    "RegistrySettings",
    "SizingSettings",
    "StackSettings",
]


_MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\dT00:00:00(Z|[+]00:00)?")


def _replaceable(name: str) -> str:
    kinds = ("Deployment", "PersistentVolumeClaim", "Namespace", "Repository")
    kind, _, rest = name.partition("/")
    if kind not in kinds or not re.fullmatch(r"[a-z0-9]([-./a-z0-9]*[a-z0-9])?", rest):
        raise ValueError(f"must be KIND/NAME, e.g. Deployment/chat, with a kind of {', '.join(kinds)}")
    return name


def _adoptable(name: str) -> str:
    if not re.fullmatch(r"([A-Z][A-Za-z0-9]*|\*)/[-.a-z0-9*?]+", name):
        raise ValueError("must be KIND/NAME, e.g. Service/chat or Service/*")
    return name


ReplaceableName = Annotated[str, AfterValidator(_replaceable)]
AdoptableName = Annotated[str, AfterValidator(_adoptable)]


class NamespaceSettings(Settings):
    """The namespace that everything of the stack lives in."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)] | None = None
    """Name; ``llmagentos-<stack>`` by default, so that two stacks of one cluster never meet."""
    create: bool = True
    """false: the namespace exists already and stays when the stack goes."""
    fence: bool = True
    """false: whoever owns the namespace brings quota, default limits and a policy that denies by default, and the stack
    denies for its own pods only. With true the quota and the policy hold for everybody's pods in there."""

    @model_validator(mode="after")
    def _fence_fits(self) -> NamespaceSettings:
        if self.create and not self.fence:
            raise ValueError("a namespace that the stack creates is fenced; fence: false goes with create: false")
        return self


class Budget(Settings):
    """Upper limits of the stack at its maximum scale. The policies of the environment may set lower ones."""

    usd_per_month: Annotated[float, Field(gt=0)] | None = None
    """List price of a month of 730 hours."""
    gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs at once."""
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    """Memory requested by all pods."""


class Observability(Settings):
    """Where metrics are collected."""

    prometheus_url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    """Base URL of Prometheus inside the cluster; KEDA asks it for the queue and KV-cache use of model servers."""
    scrape: Scrape | None = None
    """Who collects metrics from model servers. By default the pods labelled as Prometheus in the namespace that
    ``prometheus_url`` names, where it is a Service of the cluster; nobody otherwise."""

    @property
    def collector(self) -> Scrape | None:
        """Who collects, stated or read off the address of Prometheus."""
        namespace = service_namespace(self.prometheus_url or "")
        return self.scrape or (Scrape(namespace=namespace) if namespace else None)


class RegistrySettings(Settings):
    """The image registry that built images go to."""

    server: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.:/_-]*$")]
    """Host (with port) and path prefix, e.g. registry.example.com:5000/team."""
    pull_secret: Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)] | None = None
    """Name of an existing Secret of type kubernetes.io/dockerconfigjson in the namespace."""


def _date_as_text(value: Any) -> Any:
    """YAML reads 2026-11-01 as a date, and a configuration that went through JSON may hold midnight of that day."""
    text = value.isoformat() if isinstance(value, date) else value
    return text[:10] if isinstance(text, str) and _MIDNIGHT.fullmatch(text) else text


Row = dict[str, Annotated[Any, BeforeValidator(_date_as_text)]]


class CatalogRows(Settings):
    """A user's own rows over the shipped catalogue; a row with a known name replaces only the columns it states."""

    instances: Annotated[tuple[Row, ...], Field(strict=False)] = ()
    """Instance types, with the columns of ``planner/data/instances.csv``; a price needs ``price_date``."""
    gpus: Annotated[tuple[Row, ...], Field(strict=False)] = ()
    """GPUs, with the columns of ``planner/data/gpus.csv``."""
    models: Annotated[tuple[Row, ...], Field(strict=False)] = ()
    """Models, with the columns of ``planner/data/models.csv``."""


class SizingSettings(Settings):
    """How ``llmos size`` chooses hardware for models with ``hardware: auto``."""

    solver: Literal["highs", "greedy"] = "highs"
    """highs proves the least cost; greedy is quick and proves nothing."""
    objective: Literal["cost", "utilisation"] = "cost"
    """cost: the least rent. utilisation: the least rent, and among plans of equal rent the one whose owned nodes are
    fullest."""
    applications: Literal["cluster", "rented"] = "cluster"
    """Whose the nodes are that pods without a GPU run on. cluster: they are there for other reasons, so what the pods
    fill of them is shown but neither in the total nor in the budget, as in a preview. rented: they are paid for by this
    stack, and count against budget and quotas."""


class StackSettings(Settings):
    """One stack file."""

    target: Literal["local", "kubernetes", "aws"]
    """local: the embedded cluster. kubernetes: any kubeconfig context. aws: ECR and EKS."""
    environment: Name = "dev"
    """Selects ``policies/config/<environment>.json``. Only target local may leave it out."""
    context: str | None = None
    """Kubeconfig context; required for target kubernetes, so that a stack never follows a switch of context."""
    namespace: NamespaceSettings = NamespaceSettings()
    """The stack's namespace."""
    registry: RegistrySettings | None = None
    """Where built images go; target local brings its own."""
    builds: Builds = Builds()
    """How images are built."""
    applications: Annotated[dict[Name, Application], Field(min_length=1)] = {}
    """The applications, by name. Every stack has some, except a cluster stack."""
    models: dict[Name, Model] = {}
    """The models, by name."""
    hub: Hub = Hub()
    """How the model hub is reached."""
    observability: Observability = Observability()
    """Where metrics are collected."""
    gpu_pool: GpuPool = GpuPool()
    """Where GPU nodes come from."""
    budget: Budget = Budget()
    """Upper limits."""
    catalog: CatalogRows = CatalogRows()
    """Own rows and prices over the shipped catalogue."""
    sizing: SizingSettings = SizingSettings()
    """How hardware is chosen."""
    gitops: GitOps = GitOps()
    """What rendered files refer to."""
    allow_replace: Annotated[tuple[ReplaceableName, ...], Field(strict=False)] = ()
    """Objects that a change may delete and create again, e.g. Deployment/chat; every other Deployment,
    PersistentVolumeClaim, Namespace and Repository is refused a replace. Remove the name after the change."""
    adopt: Annotated[tuple[AdoptableName, ...], Field(strict=False)] = ()
    """Objects that exist already and that the stack takes over, e.g. Service/chat or Service/*; `up` then changes them,
    and `destroy` deletes them. What exists and is not named is refused."""
    aws: AwsSettings | None = None
    """Where on AWS; required for target aws."""
    cluster: Cluster | None = None
    """Makes the stack a cluster stack: an EKS cluster for other stacks, without applications of its own."""
