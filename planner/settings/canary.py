"""Settings of a canary: the new version of an application beside the one that serves, before it takes its place."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from planner.settings._base import Settings

__all__ = ["Canary", "MetricName"]

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]


class Canary(Settings):
    """A new version first runs on a share of the replicas, and is stopped where it does worse than is stated here."""

    share: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """Share of the pods that run the new version: as many whole pods as do not exceed it, and at least one. They run
    beside the others. Counted from the least replicas; an autoscaler that runs more makes the share smaller."""
    watch_seconds: Annotated[int, Field(ge=5, le=3600)] = 120
    """How long the new version is watched once it is ready; two minutes are eight scrapes of a usual Prometheus."""
    max_error_rate: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Share of its requests that may be answered with a status of 500 and above."""
    max_ttft_ms: Annotated[float, Field(gt=0, le=600_000)] | None = None
    """Time to the first token, in milliseconds, that 95 of 100 of its streams keep; not watched when absent."""
    min_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Requests, and with ``max_ttft_ms`` streams too, without which there is no verdict; of 100 one may fail by the
    default ``max_error_rate``."""
    when_too_few: Literal["stop", "proceed"] = "stop"
    """What follows where fewer came in the time: by default nobody knows that the version is good, so it is stopped.
    With ``proceed`` it is rolled out, unless what did come exceeds a limit."""
    requests_metric: MetricName = "assistant_requests_total"
    """Counter of requests on the pods' own ``/metrics``, with the HTTP status in its label ``status``, ``code`` or
    ``status_code``."""
    ttft_metric: MetricName = "assistant_time_to_first_token_seconds"
    """Histogram of the time to the first token, in seconds, there."""
