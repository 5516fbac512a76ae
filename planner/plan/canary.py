"""What a canary of an application is: how many pods, how long it is watched, and what stops it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from planner.settings.canary import Canary

__all__ = [
    "TRACK", "CanaryPlan", "canary_egress", "canary_name", "canary_objects", "canary_replicas", "plan_canary",
]  # fmt: skip

TRACK = ("llmagentos.dev/track", "canary")
"""Label that the pods of a canary carry beside those of the others, and that its Deployment selects them by. So the
Service, the policies and the PodDisruptionBudget of the application count them in."""


@dataclass(frozen=True, kw_only=True)
class CanaryPlan:
    """A canary. ``max_ttft_ms`` is ``None`` where TTFT is not watched; ``proceed`` says what too few requests mean."""

    replicas: int
    watch_seconds: int
    max_error_rate: float
    max_ttft_ms: float | None
    min_requests: int
    proceed: bool
    requests_metric: str
    ttft_metric: str


def canary_name(application: str) -> str:
    """Name of the Deployment of a canary."""
    return f"{application}-canary"


def canary_egress(application: str) -> str:
    """Name of the NetworkPolicy of a canary."""
    return f"{canary_name(application)}-egress"


def canary_objects(applications: Iterable[str]) -> set[str]:
    """Names of all that canaries of these applications consist of."""
    return {name for one in applications for name in (canary_name(one), canary_egress(one))}


def canary_replicas(share: float, *, stable: int) -> int:
    """Pods beside ``stable`` others that are at most ``share`` of them all, and at least one."""
    exact = Fraction(str(share))
    return max(1, math.floor(exact * stable / (1 - exact)))


def plan_canary(canary: Canary | None, *, replicas: int) -> CanaryPlan | None:
    """The canary of an application with ``replicas`` at least; ``None`` where the stack file asks for none."""
    if canary is None:
        return None
    return CanaryPlan(
        replicas=canary_replicas(canary.share, stable=replicas),
        watch_seconds=canary.watch_seconds,
        max_error_rate=canary.max_error_rate,
        max_ttft_ms=canary.max_ttft_ms,
        min_requests=canary.min_requests,
        proceed=canary.when_too_few == "proceed",
        requests_metric=canary.requests_metric,
        ttft_metric=canary.ttft_metric,
    )
