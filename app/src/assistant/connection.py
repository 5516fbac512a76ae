"""Connections that do nothing are closed: uvicorn itself waits for a slow client as long as it likes."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["guarded_protocol"]


class _Guarded(HttpToolsProtocol):
    """Cut when a request takes too long to arrive, or when nobody reads the answer."""

    read_seconds: float
    write_seconds: float
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading = self.loop.call_later(self.read_seconds, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._reading is None:
            self._reading = self.loop.call_later(self.read_seconds, self.transport.abort)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stop_reading_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


def guarded_protocol(*, read_seconds: float, write_seconds: float) -> type[HttpToolsProtocol]:
    """A protocol class for ``uvicorn.Config(http=…)``.

    Args:
        read_seconds: for one request to arrive, headers and body.
        write_seconds: for a client to take what fills the send buffer.
    """
    limits: dict[str, Any] = {"read_seconds": read_seconds, "write_seconds": write_seconds}
    return type("GuardedProtocol", (_Guarded,), limits)
