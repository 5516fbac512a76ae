"""How many replicas a request rate asks for, and the same as a KEDA trigger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["RateRule", "Signal", "WeighedRule", "keda_rate_trigger"]


@dataclass(frozen=True, kw_only=True)
class RateRule:
    """How many replicas a request rate asks for: headroom in proportion, and for recent ups and downs.

    Attributes:
        headroom: factor on the rate now.
        deviations: how many standard deviations of the rate over the window to add.
        window_seconds: of that deviation.
        hold_seconds: scale down only to the highest need of this time (the HPA's stabilisation window).
    """

    headroom: float
    deviations: float
    window_seconds: int
    hold_seconds: int


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Something that a metrics system can say of the rate, and how much it counts.

    Attributes:
        function: ``rate`` of the last minute; ``avg``, ``stddev`` or ``max`` of that over a window (PromQL's
            ``..._over_time``).
        window_seconds: of the function; a minute for ``rate``.
        weight: factor.
    """

    function: Literal["rate", "avg", "stddev", "max"]
    window_seconds: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class WeighedRule:
    """How many replicas a request rate asks for: a sum of signals, and never less than the rate now.

    Attributes:
        quantile: of the highest rate within two cold starts, which the sum estimates.
        signals: those with a weight.
        hold_seconds: as in `RateRule`.
    """

    quantile: float
    signals: tuple[Signal, ...]
    hold_seconds: int


def keda_rate_trigger(
    rule: RateRule | WeighedRule, *, server: str, rate_query: str, requests_per_second_per_replica: float
) -> dict[str, object]:
    """The rule as data for a KEDA ScaledObject: one entry of ``spec.triggers``, and the HPA behaviour it needs.

    Args:
        rule: as `planner.demand.tuning.choose_rule` returns it.
        server: Prometheus address.
        rate_query: PromQL of the service's arrivals per second, e.g. ``sum(rate(gateway_requests_total[1m]))``.
        requests_per_second_per_replica: what one replica serves within the objective.
    """
    wanted = _sum(rule, rate_query) if isinstance(rule, WeighedRule) else _headroom(rule, rate_query)
    behaviour: dict[str, object] = {"scaleDown": {"stabilizationWindowSeconds": rule.hold_seconds}}
    if isinstance(rule, WeighedRule):
        # The sum is replicas already; the autoscaler's default would ignore a tenth of them (Kubernetes 1.35 and later
        # honour this field).
        behaviour = {
            "scaleUp": {"tolerance": "0"},
            "scaleDown": {"stabilizationWindowSeconds": rule.hold_seconds, "tolerance": "0"},
        }
    return {
        "trigger": {
            "type": "prometheus",
            "name": "arrivals",
            # An empty answer would otherwise count as zero and scale a busy service to its minimum.
            "metadata": {
                "serverAddress": server,
                "query": f"({wanted}) / {requests_per_second_per_replica:g}",
                "threshold": "1",
                "ignoreNullValues": "false",
            },
        },
        "behavior": behaviour,
    }


def _headroom(rule: RateRule, rate: str) -> str:
    window = f"[{rule.window_seconds}s:15s]"
    return f"{rule.headroom:g} * ({rate}) + {rule.deviations:g} * stddev_over_time(({rate}){window})"


def _sum(rule: WeighedRule, rate: str) -> str:
    """PromQL has no maximum of two; what is above the rate is kept, or else the rate."""
    terms = [
        f"{signal.weight:.4g} * "
        + (f"({rate})" if signal.function == "rate" else
           f"{signal.function}_over_time(({rate})[{signal.window_seconds}s:15s])")
        for signal in rule.signals
    ]  # fmt: skip
    return f"({' + '.join(terms) or '0'}) > ({rate}) or ({rate})"
