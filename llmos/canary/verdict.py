"""Whether a canary is stopped, watched on, or followed by the rollout. Pure functions of counts and limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from llmos.canary.figures import Figures
from planner.plan import CanaryPlan

__all__ = ["Verdict", "verdict_on"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What follows, and why in words with figures.

    Attributes:
        says: ``watch``, ``stop`` or ``go``.
        why: the reason; empty for ``watch``.
        few: whether the reason is that too little was seen.
    """

    says: Literal["watch", "stop", "go"]
    why: str = ""
    few: bool = False


def verdict_on(seen: Figures, plan: CanaryPlan, *, over: bool) -> Verdict:
    """The verdict on what the pods of a canary counted.

    A limit that is exceeded stops it as soon as there are enough requests, and at the end however few there are:
    errors that were seen are never taken for silence.

    Args:
        seen: since the watch began.
        plan: the limits.
        over: whether the time is up.
    """
    if (over or seen.requests >= plan.min_requests) and seen.error_rate > plan.max_error_rate:
        return Verdict(says="stop", why=f"{_errors(seen)} > {plan.max_error_rate:g} over {seen.requests} requests")
    limit = plan.max_ttft_ms
    if limit is not None and (over or seen.streams >= plan.min_requests) and seen.ttft_ms() > limit:
        return Verdict(says="stop", why=f"{_ttft(seen)} > {limit:g} ms over {seen.streams} streams")
    if not over:
        return Verdict(says="watch")
    counted = [f"{seen.requests} requests"] + ([f"{seen.streams} streams"] if limit is not None else [])
    few = seen.requests < plan.min_requests or (limit is not None and seen.streams < plan.min_requests)
    if few and not plan.proceed:
        why = f"{' and '.join(counted)} in {plan.watch_seconds} s are too few for a verdict (min_requests is "
        return Verdict(says="stop", why=f"{why}{plan.min_requests})", few=True)
    found = [_errors(seen)] + ([_ttft(seen)] if limit is not None else [])
    return Verdict(says="go", why=f"{', '.join(found)} over {' and '.join(counted)}", few=few)


def _errors(seen: Figures) -> str:
    return f"error rate {seen.error_rate:.3g}"


def _ttft(seen: Figures) -> str:
    found = seen.ttft_ms()
    return f"TTFT (95 of 100) {'above the last bucket' if math.isinf(found) else f'{found:.0f} ms'}"
