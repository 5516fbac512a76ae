"""Back pressure: so many requests at the model server, so many waiting, everybody else is told to come back."""

from __future__ import annotations

import asyncio
from types import TracebackType

from assistant.errors import ApiError

__all__ = ["Gate"]

_RETRY_AFTER = {"retry-after": "1"}


class Gate:
    """``async with gate:`` holds one of ``concurrent`` places, in order of arrival.

    A queue without bound would hide overload until every client has timed out; a bounded one keeps the waiting time
    below what clients accept and tells the autoscaler by its length.

    Raises:
        ApiError: 429 when ``queued`` requests wait already; 503 after ``wait_seconds`` in the queue.
    """

    def __init__(self, *, concurrent: int, queued: int, wait_seconds: float) -> None:
        self._places = asyncio.Semaphore(concurrent)
        self._queued = queued
        self._wait_seconds = wait_seconds
        self.active = 0
        self.waiting = 0

    async def __aenter__(self) -> None:
        if self._places.locked() and self.waiting >= self._queued:
            message = "Too many requests are waiting. Try again shortly."
            raise ApiError(429, message, code="rate_limit_exceeded", headers=_RETRY_AFTER)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            message = f"No place became free within {self._wait_seconds:g} s. Try again shortly."
            raise ApiError(503, message, code="server_overloaded", headers=_RETRY_AFTER) from None
        finally:
            self.waiting -= 1
        self.active += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.active -= 1
        self._places.release()
