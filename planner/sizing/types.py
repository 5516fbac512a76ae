"""What sizing decides, in the form in which the lock keeps it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["SizedModel", "SizedRejection", "Sizing"]


class _Kept(BaseModel):
    # Later versions of the program add fields; an older one must still read the file.
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


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
    """GPUs that each layer is split over; equals ``gpus``."""
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
    nodes: int
    """Nodes that they fill."""
    requests_per_second: float
    """What one replica sustains within the promised latency."""
    ttft_ms: float
    """At that rate, for nine of ten requests."""
    tpot_ms: float
    """At that rate."""
    certainty: str
    """Whether this kind of model was measured on this GPU."""
    usd_per_month: float
    """List price of the nodes, 730 hours."""
    usd_per_hour: float
    """List price of one node."""
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


class Sizing(_Kept):
    """Hardware of a stack. ``inputs`` is everything it follows from, by path; ``hash`` is that of ``inputs``."""

    schema_version: int = 1
    hash: str
    inputs: dict[str, Any]
    models: dict[str, SizedModel]
    usd_per_month: float | None
    """Of all models on rented nodes, those with stated hardware too; unknown when one price is."""
    solver: str
    """Which solver found it, and how far it is proven."""
