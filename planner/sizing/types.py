"""What sizing decides, in the form in which the lock keeps it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["SizedApplications", "SizedModel", "SizedNode", "SizedRejection", "SizedSchedule", "SizedWindow", "Sizing"]


class _Kept(BaseModel):
    # Later versions of the program add fields; an older one must still read the file.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class SizedRejection(_Kept):
    """A cheaper option that was not taken, and why."""

    option: str
    reason: str


class SizedModel(_Kept):
    """Hardware of one model, and the reasons for it."""

    instance_type: str
    """Of every node."""
    fallbacks: tuple[str, ...]
    """Types that can stand in for it without any other change, cheapest first."""
    gpus: int
    """Of one replica; a replica is one pod, so they are on one node."""
    tensor_parallel: int
    """GPUs that each layer is split over."""
    pipeline_parallel: int = 1
    """Stages that the layers are divided into; times ``tensor_parallel`` it equals ``gpus``."""
    precision: str
    """Of the weights."""
    quantization: str
    """vLLM's setting for that precision; ``auto`` when the checkpoint has it already."""
    max_sequences: int
    """Requests computed at once."""
    batched_tokens: int
    """Tokens computed in one step."""
    replicas: int
    """Replicas that carry the stated traffic."""
    spot_replicas: int = 0
    """Of them, those that may run on spot; the others never do."""
    nodes: int
    """Nodes that they run on."""
    owned_nodes: int = 0
    """Of them, nodes that exist already; other models may share these."""
    requests_per_second: float
    """What one replica sustains within the promised latency."""
    asked_requests_per_second: float = 0.0
    """What all replicas must carry: the stated rate, or the forecast one."""
    busy: float = 0.0
    """Share of what all replicas sustain that it takes, 0 to 1."""
    ttft_ms: float
    """At that rate, for nine of ten requests."""
    tpot_ms: float
    """At that rate."""
    certainty: str
    """Whether this kind of model was measured on this GPU."""
    usd_per_month: float
    """Rent of the nodes, 730 hours; nodes that exist already cost nothing more."""
    usd_per_hour: float | None
    """List price of one node; unknown for owned nodes of a type without a price."""
    price_source: str
    """Where the price was read."""
    price_date: str
    """ISO day on which it was read."""
    chosen: str
    """The choice in words."""
    binding: str
    """What keeps it from being cheaper."""
    runner_up: str
    """The next best, with the cost of the model; empty when there is no other way."""
    rejected: tuple[SizedRejection, ...]
    """Cheaper options, and why they were not taken."""
    on_cpus: str = ""
    """What the cheapest machine without a GPU would do, which is not offered; or why none would keep the promise."""


class SizedWindow(_Kept):
    """Hours of the week, in UTC, with more replicas than otherwise."""

    days: str
    """E.g. ``Mon-Fri``, ``Sat`` or ``daily``."""
    hours: str
    """E.g. ``08:00-20:00``."""
    replicas: int
    """At least this many."""


class SizedSchedule(_Kept):
    """Minimum replicas by hour of the week, from a history of requests."""

    history: str
    """The file, and its service where it has several."""
    quantile: float
    """Probability with which the forecast demand is covered."""
    requests_per_second: float
    """The highest such demand of the next week."""
    requests_per_second_per_replica: float
    """What one replica was taken to serve."""
    windows: tuple[SizedWindow, ...]
    """When there are more than ``otherwise``; they do not overlap."""
    otherwise: int
    """Replicas outside all windows."""
    replica_hours_per_week: int
    """What the schedule keeps running."""
    kept_by: str
    """What carries it out in the cluster, or why nothing does."""
    accuracy: tuple[str, ...]
    """How forecasts did on the last week of the history, by how far ahead they looked."""
    warnings: tuple[str, ...]
    """What must be known before it is trusted."""


class SizedNode(_Kept):
    """Equal nodes, and what is on each of them."""

    instance_type: str
    purchase: str
    """``owned``, ``on-demand`` or ``spot``."""
    zone: str
    """Empty where nothing asked for zones."""
    count: int
    pods: dict[str, int]
    """Pods on each node, by YAML path of what they belong to."""
    gpus: int
    """Of each node."""
    gpus_used: int
    """Of them, those that its pods use."""
    vcpu: float
    """Of each node."""
    vcpu_used: float
    """Of them, those that its pods request."""
    memory_gib: float
    """Main memory of each node."""
    memory_gib_used: float
    """Of it, what its pods request."""


class SizedApplications(_Kept):
    """Nodes without a GPU that the pods of applications, and of model servers on CPUs, fill at their maximum."""

    pods: dict[str, int]
    """Pods by YAML path of what they belong to."""
    nodes: tuple[SizedNode, ...]
    """The nodes with what is on each."""
    counted: bool
    """Whether they are in the total and count against the budget: ``sizing.applications: rented``."""
    usd_per_month: float
    """Their rent, 730 hours; nodes that exist already cost nothing more."""
    price_source: str
    """Where the prices were read."""
    price_date: str
    """ISO day of the oldest of them."""
    chosen: str
    """The choice in words."""
    binding: str
    """Which of the pods' requests fills the nodes."""
    runner_up: str
    """The next best family of machines, with its cost; empty when there is no other way."""
    rejected: tuple[SizedRejection, ...]
    """Cheaper machines, and why they were not taken; pods that no machine holds."""


class Sizing(_Kept):
    """Hardware of a stack. ``inputs`` is everything it follows from, by path; ``hash`` is that of ``inputs``."""

    schema_version: int = 1
    hash: str
    inputs: dict[str, Any]
    models: dict[str, SizedModel]
    schedules: dict[str, SizedSchedule] = {}
    """By YAML path of the model or application that has a history."""
    nodes: tuple[SizedNode, ...] = ()
    """Every GPU node with what runs on it; models with stated hardware are among them."""
    applications: SizedApplications | None = None
    """Where pods without a GPU fit; nothing where no such machine has a known price."""
    unusable: tuple[SizedRejection, ...] = ()
    """Machines of the catalogue that no model was sized for, by reason."""
    usd_per_month: float | None
    """Rent of all models, those with stated hardware too, and of applications' nodes where they count; unknown when one
    price is."""
    solver: str
    """Which solver found it, and how far it is proven."""
