"""What pods of an application count: requests, failed ones, and the time to the first token of streams."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from planner.plan import CanaryPlan

__all__ = ["Figures", "added", "figures_of"]

_STATUS_LABELS = ("status", "code", "status_code")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts since a pod started, or between two readings.

    Attributes:
        requests: answered ones.
        errors: those of them with a status of 500 and above.
        ttft: streams by the upper bound of their time to the first token, in seconds; each stream once.
    """

    requests: int = 0
    errors: int = 0
    ttft: Mapping[float, int] = field(default_factory=dict)

    @property
    def error_rate(self) -> float:
        """Share of the requests that failed; 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def streams(self) -> int:
        return sum(self.ttft.values())

    def ttft_ms(self, quantile: float = 0.95) -> float:
        """Quantile of the time to the first token in milliseconds, linear within a bucket as Prometheus has it:
        infinite above the last bound, 0 without streams."""
        rank, lower, below = quantile * self.streams, 0.0, 0
        for upper, count in sorted(self.ttft.items()):
            if count and below + count >= rank:
                inside = (rank - below) / count
                return math.inf if math.isinf(upper) else 1000 * (lower + (upper - lower) * inside)
            lower, below = upper, below + count
        return 0.0

    def since(self, before: Figures) -> Figures:
        """What was counted after ``before``."""
        return Figures(
            requests=self.requests - before.requests, errors=self.errors - before.errors,
            ttft={bound: count - before.ttft.get(bound, 0) for bound, count in self.ttft.items()},
        )  # fmt: skip


def added(parts: Iterable[Figures]) -> Figures:
    """The sum over pods."""
    requests = errors = 0
    ttft: Counter[float] = Counter()
    for part in parts:
        requests, errors = requests + part.requests, errors + part.errors
        ttft.update(part.ttft)
    return Figures(requests=requests, errors=errors, ttft=dict(ttft))


def figures_of(page: str, plan: CanaryPlan) -> Figures:
    """What a page of Prometheus' text format says.

    Raises:
        ValueError: it is none.
    """
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    counted = [sample for sample in samples if sample.name == plan.requests_metric]
    return Figures(
        requests=int(sum(sample.value for sample in counted)),
        errors=int(sum(sample.value for sample in counted if _status(sample).startswith("5"))),
        ttft=_buckets(sample for sample in samples if sample.name == f"{plan.ttft_metric}_bucket"),
    )


def _status(sample: Sample) -> str:
    return next((sample.labels[name] for name in _STATUS_LABELS if name in sample.labels), "")


def _buckets(samples: Iterable[Sample]) -> dict[float, int]:
    """Streams by bucket; the format counts each bucket with all below it."""
    total: Counter[float] = Counter()
    for sample in samples:
        total[float(sample.labels["le"])] += int(sample.value)
    found, below = {}, 0
    for bound in sorted(total):
        found[bound], below = total[bound] - below, total[bound]
    return found
