"""How many replicas a request rate asks for, and the same as a KEDA trigger."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RateRule", "keda_rate_trigger"]


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


def keda_rate_trigger(
    rule: RateRule, *, server: str, rate_query: str, requests_per_second_per_replica: float
) -> dict[str, object]:
    """The rule as data for a KEDA ScaledObject: one entry of ``spec.triggers``, and the HPA behaviour it needs.

    Args:
        rule: as `planner.demand.tuning.choose_rule` returns it.
        server: Prometheus address.
        rate_query: PromQL of the service's arrivals per second, e.g. ``sum(rate(gateway_requests_total[1m]))``.
        requests_per_second_per_replica: what one replica serves within the objective.
    """
    window = f"[{rule.window_seconds}s:15s]"
    query = (
        f"({rule.headroom:g} * ({rate_query}) + {rule.deviations:g} * stddev_over_time(({rate_query}){window}))"
        f" / {requests_per_second_per_replica:g}"
    )
    return {
        "trigger": {
            "type": "prometheus",
            "name": "arrivals",
            # An empty answer would otherwise count as zero and scale a busy service to its minimum.
            "metadata": {"serverAddress": server, "query": query, "threshold": "1", "ignoreNullValues": "false"},
        },
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": rule.hold_seconds}},
    }
