"""How fast a stream comes, without parsing it."""

from __future__ import annotations

import time

from assistant.metrics import Metrics

__all__ = ["Pace"]


class Pace:
    """Times of the first and the last event. Model servers send one event per token or few, so the mean gap between
    events is the time per output token as a reader sees it."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._first = self._last = 0.0
        self._events = 0

    def count(self, chunk: bytes) -> None:
        """Take note of bytes that have come; comments that only keep the connection alive are no events."""
        events = chunk.count(b"data:")
        if events:
            self._last = time.perf_counter()
            self._first = self._first or self._last
            self._events += events

    def report(self, metrics: Metrics) -> dict[str, float]:
        """Observe TTFT and TPOT; fields for the log."""
        if not self._events:
            return {}
        ttft = self._first - self._started
        metrics.ttft.observe(ttft)
        if self._events > 1:
            metrics.tpot.observe((self._last - self._first) / (self._events - 1))
        return {"ttft_ms": round(ttft * 1000, 1), "events": self._events}
