"""What Prometheus sees. No label comes from a request, so the number of series is bounded."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from assistant.cache import ResponseCache
from assistant.gate import Gate

__all__ = ["Metrics"]

_TTFT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TPOT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1)
_DURATION_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """All series of one process, in a registry of its own."""

    def __init__(self, *, gate: Gate, cache: ResponseCache) -> None:
        disable_created_metrics()
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "assistant_requests", "Requests by path and status; 499: the client went first.", ["path", "status"],
            registry=registry,
        )
        self.in_flight = Gauge("assistant_requests_in_flight", "Requests being answered.", registry=registry)
        self.duration = Histogram(
            "assistant_request_duration_seconds", "Time from request to the last byte of the answer.", ["path"],
            buckets=_DURATION_SECONDS, registry=registry,
        )
        self.ttft = Histogram(
            "assistant_time_to_first_token_seconds", "Streams: time from request to the first event, queue included.",
            buckets=_TTFT_SECONDS, registry=registry,
        )
        self.tpot = Histogram(
            "assistant_time_per_output_token_seconds", "Streams: mean time between events after the first.",
            buckets=_TPOT_SECONDS, registry=registry,
        )
        self.cache_hits = Counter("assistant_cache_hits", "Answers given from the cache.", registry=registry)
        self.cache_misses = Counter("assistant_cache_misses", "Cacheable requests not in it.", registry=registry)
        for name, text, read in (
            ("assistant_requests_waiting", "Requests in the queue for the model server.", lambda: gate.waiting),
            ("assistant_requests_active", "Requests at the model server.", lambda: gate.active),
            ("assistant_cache_entries", "Entries in the cache.", lambda: len(cache)),
            ("assistant_cache_bytes", "Bytes in the cache.", lambda: cache.used_bytes),
        ):
            Gauge(name, text, registry=registry).set_function(read)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)
