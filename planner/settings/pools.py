"""Settings of node pools: where nodes come from, which exist already, and how many there may be."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, model_validator

from planner.settings._base import Settings

__all__ = ["GpuPool", "NodeClass", "Quota", "Spot"]

_UNITS = ("nodes", "gpus", "vcpu")
InstancePattern = Annotated[str, Field(pattern=r"^[a-z0-9*][a-z0-9.*-]*$")]
InstanceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class NodeClass(Settings):
    """A Karpenter node class that exists in the cluster."""

    group: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
    """API group, e.g. karpenter.k8s.aws."""
    kind: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9_]+$")]
    """Kind, e.g. EC2NodeClass."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")]
    """Name of the object."""


class Spot(Settings):
    """Interruptible capacity above a floor that is never interrupted."""

    on_demand_replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Replicas of each model that stay off spot; 1 so that an interruption leaves something running."""
    on_demand_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of each model's replicas that stays off spot; the larger of the two counts."""


class Quota(Settings):
    """How much of some instance types may run at once, as a cloud account allows it."""

    instance_types: Annotated[tuple[InstancePattern, ...], Field(min_length=1, strict=False)]
    """Types that count together; ``*`` stands for anything, e.g. ``g*`` for AWS's quota on G and VT instances."""
    nodes: Annotated[int, Field(ge=0)] | None = None
    """Nodes of these types together."""
    gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs of these types together."""
    vcpu: Annotated[int, Field(ge=0)] | None = None
    """vCPUs of these types together, which is what AWS counts."""

    def covers(self, instance_type: str) -> bool:
        """Whether nodes of that type count."""
        return any(fnmatchcase(instance_type, pattern) for pattern in self.instance_types)

    @property
    def limits(self) -> dict[str, int]:
        """The stated limits, by what they count."""
        return {unit: value for unit in _UNITS if (value := getattr(self, unit)) is not None}

    @model_validator(mode="after")
    def _limits_something(self) -> Quota:
        if not self.limits:
            raise ValueError("a quota limits nodes, gpus or vcpu; state one of them")
        return self


class GpuPool(Settings):
    """Where GPU nodes come from."""

    kind: Literal["karpenter", "existing", "managed-node-group", "auto-mode"] = "karpenter"
    """karpenter: nodes are made when pods need them. existing: nodes are there and found by ``selector``. On AWS also
    managed-node-group: EKS keeps as many machines as the models need at their maximum, always; auto-mode: nodes are
    made when pods need them by EKS Auto Mode, which the cluster must have."""
    spot: bool | Spot = False
    """Interruptible capacity; off by default because an interruption cuts streams. true: for any replica. A map keeps a
    floor of every model on demand, e.g. {on_demand_replicas: 1}."""
    max_gpus: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """GPUs that the pool may hold at once; by default what the models need at their maximum, and one replica more."""
    owned: dict[InstanceName, Annotated[int, Field(ge=1, le=10_000)]] = {}
    """Nodes by instance type that are paid for whether or not they work: those of an existing pool, or reserved ones.
    Sizing uses them first. Budgets count them at list price, as policies do."""
    quotas: Annotated[tuple[Quota, ...], Field(strict=False)] = ()
    """Limits of the cloud account, owned nodes included."""
    zones: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Zones that nodes may stand in; any by default. Models with ``spread.zones`` need them."""
    selector: dict[str, str] = {}
    """Node labels of an existing pool."""
    node_class: NodeClass | None = None
    """Karpenter node class of the cluster; target local brings its own."""

    @property
    def spot_floor(self) -> Spot | None:
        """The floor off spot; ``None`` where nothing or everything may be on spot."""
        return self.spot if isinstance(self.spot, Spot) else None

    @model_validator(mode="after")
    def _selector_fits(self) -> GpuPool:
        if self.kind == "existing" and not self.selector:
            raise ValueError("kind existing needs a selector, e.g. {nvidia.com/gpu.product: NVIDIA-L4}")
        if self.kind != "existing" and self.selector:
            raise ValueError(f"selector goes with kind existing, not {self.kind}")
        if self.kind == "existing" and self.spot:
            raise ValueError("spot goes with kind karpenter; nodes of an existing pool are what they are")
        return self
