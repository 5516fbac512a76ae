"""Settings of the applications: the programs that users talk to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from planner.settings._base import (
    CpuQuantity,
    EnvName,
    ImageRef,
    MemoryQuantity,
    Port,
    SecretRef,
    Settings,
    TagRef,
    looks_like_secret,
)
from planner.settings.canary import Canary, MetricName
from planner.settings.traffic import RequestHistory

__all__ = ["Application", "ApplicationQueue", "ApplicationReplicas", "Endpoint", "Image", "Resources"]

_NAME = "[a-z]([-a-z0-9]*[a-z0-9])?"
ModelName = Annotated[str, Field(pattern=f"^{_NAME}(/{_NAME})?$", max_length=81)]
Platform = Literal["linux/amd64", "linux/arm64"]


class Image(Settings):
    """Where an image comes from: exactly one of ``build``, ``ref``, ``tag`` and ``from``."""

    build: str | None = None
    """Folder with a Dockerfile, relative to the project's folder."""
    ref: ImageRef | None = None
    """An existing image, by digest."""
    tag: TagRef | None = None
    """An existing image by its tag. Its registry is asked for the digest at every preview and `up`, and the digest is
    what is deployed; for development, because what it names can change between two runs."""
    from_: Annotated[Literal["lock"] | None, Field(alias="from")] = None
    """``lock``: the digest that ``llmos promote`` wrote into the stack's lock."""
    platforms: Annotated[tuple[Platform, ...] | None, Field(min_length=1, strict=False)] = None
    """Platforms to build for. By default ``linux/amd64``, because GPU nodes are; on target ``local`` the processor of
    the machine that builds, because an image for another one needs an emulator there."""
    base_image: str | None = None
    """Base image given to the build as ``BASE_IMAGE``; by default the Dockerfile's own."""

    @model_validator(mode="after")
    def _one_source(self) -> Image:
        sources = {"build": self.build, "ref": self.ref, "tag": self.tag, "from": self.from_}
        given = [name for name, value in sources.items() if value]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of build, ref, tag and from; got {', '.join(given) or 'none'}")
        if not self.build and ({"platforms", "base_image"} & self.model_fields_set):
            raise ValueError("platforms and base_image go with build only")
        return self


class ApplicationQueue(Settings):
    """Requests that wait inside the application, as Prometheus has collected them."""

    per_replica: Annotated[float, Field(gt=0, le=1e6, strict=False)] = 5
    """Waiting requests per replica at which another one is started, as for a model server's queue."""
    metric: MetricName = "assistant_requests_waiting"
    """Gauge of the requests that wait, on the pods' own ``/metrics``; the sum over all replicas is what counts."""


class ApplicationReplicas(Settings):
    """Replicas under an autoscaler: a HorizontalPodAutoscaler on CPU, KEDA's with ``queue`` or ``history``."""

    min: Annotated[int, Field(ge=1, le=1000)]
    """Replicas kept without load."""
    max: Annotated[int, Field(ge=1, le=1000)]
    """Replicas at most; budgets count this number."""
    cpu_percent: Annotated[int, Field(ge=10, le=95)] = 70
    """CPU use, in percent of the request, that the autoscaler aims at; 70 leaves room while new pods start."""
    queue: ApplicationQueue | None = None
    """Waiting requests as a second measure beside CPU, read by KEDA from ``observability.prometheus_url``: a program
    that waits for its model server uses no CPU. By default CPU alone."""
    history: RequestHistory | None = None
    """Requests of the past, from which ``llmos size`` forecasts a minimum for every hour of the week; KEDA keeps it."""

    @model_validator(mode="after")
    def _ordered(self) -> ApplicationReplicas:
        if self.min > self.max:
            raise ValueError(f"min is {self.min} and max is {self.max}; min must not exceed max")
        if self.history is not None and self.history.requests_per_second_per_replica is None:
            raise ValueError("an application's history needs requests_per_second_per_replica: what one replica serves")
        return self


class Resources(Settings):
    """CPU and memory of a container: memory is request and limit, CPU may burst to four times its request."""

    cpu: CpuQuantity = "500m"
    """CPU request."""
    memory: MemoryQuantity = "512Mi"
    """Memory request and limit."""


class Endpoint(Settings):
    """How an application is reached."""

    port: Annotated[int, Field(ge=1, le=65535)] = 80
    """Port of the Service."""
    type: Literal["LoadBalancer", "ClusterIP"] = "LoadBalancer"
    """Kind of Service; ClusterIP is reachable from inside the cluster only."""
    auth: Literal["api-key", "none"] = "api-key"
    """Who may call: holders of an API key, or anyone (policies refuse that for public endpoints outside dev)."""
    create: bool = True
    """false: a Service with the application's name exists already, selects its pods, and stays when the stack goes."""


class Application(Settings):
    """One LLM application."""

    image: Image
    """The container image."""
    preset: Literal["customer-service", "code-assistant", "content-creation"] | None = None
    """Behaviour of the sample application; its own default (customer-service) when absent."""
    command: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = None
    """Command instead of the image's own, for images that know no presets."""
    model: ModelName | None = None
    """Key of ``models`` that answers, or ``<model>/<adapter>`` for one of its LoRA adapters; without it the sample
    application uses its in-process tiny model."""
    replicas: Annotated[int, Field(ge=1, le=1000)] | ApplicationReplicas = 3
    """A fixed number, or a range under an autoscaler; three by default, one per zone."""
    port: Port = 8000
    """Port that the container listens on."""
    resources: Resources = Resources()
    """CPU and memory of one replica."""
    env: dict[EnvName, str] = {}
    """Environment variables without secrets."""
    secrets: dict[EnvName, SecretRef] = {}
    """Environment variables from Kubernetes Secrets. ``API_KEYS`` holds the keys of callers."""
    endpoint: Endpoint = Endpoint()
    """The Service in front."""
    canary: Canary | None = None
    """A new version first runs beside the old one and is watched; by default it replaces it at once, pod by pod."""
    pod_overrides: dict[str, Any] = {}
    """Merged last into the pod's spec (maps deeply, lists of named entries by name); policies still apply."""

    @property
    def model_key(self) -> str:
        """Key of ``models``; empty without a model."""
        return (self.model or "").partition("/")[0]

    @property
    def adapter(self) -> str:
        """Name of the adapter; empty for the model itself."""
        return (self.model or "").partition("/")[2]

    @model_validator(mode="after")
    def _preset_or_command(self) -> Application:
        if self.preset and self.command:
            raise ValueError("preset and command exclude each other: a command replaces the sample application")
        queue = self.replicas.queue if isinstance(self.replicas, ApplicationReplicas) else None
        if self.command and queue and "metric" not in queue.model_fields_set:
            raise ValueError("replicas.queue needs a metric: a command replaces the sample application and its metrics")
        both = sorted(set(self.env) & set(self.secrets))
        if both:
            raise ValueError(f"{', '.join(both)} stands in env and in secrets; keep it in one")
        return self

    @field_validator("env")
    @classmethod
    def _no_literal_secret(cls, env: dict[str, str]) -> dict[str, str]:
        leaked = sorted(name for name, value in env.items() if looks_like_secret(name, value))
        if leaked:
            raise ValueError(f"{', '.join(leaked)} looks like a secret in plain text; name a Secret under `secrets`")
        return env
