"""Connections that do nothing are closed, and what is no HTTP gets an error of the same form as every other: uvicorn
itself waits for a slow client as long as it likes, keeps headers of any size, and refuses in plain text."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from assistant.errors import ApiError

__all__ = ["MOST_HEAD_BYTES", "guarded_protocol"]

MOST_HEAD_BYTES = 32 * 1024
"""Of request line and headers, as much as nginx takes by default (large_client_header_buffers, 4 of 8 KiB)."""


class _Guarded(HttpToolsProtocol):
    """Cut when a request takes too long to arrive, when nobody reads the answer, or when its head has no end."""

    read_seconds: float
    write_seconds: float
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _begun = False
    _taken = False
    _unused_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading = self.loop.call_later(self.read_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unused_bytes += len(data)
        super().data_received(data)
        # The parser keeps what is not complete yet: a head, the length of a chunk, a trailer.
        if self._unused_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            message = f"The request's headers exceed {MOST_HEAD_BYTES} bytes."
            self._refuse(ApiError(431, message, code="headers_too_large"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun, self._taken = True, False
        if self._reading is None:
            self._reading = self.loop.call_later(self.read_seconds, self._too_slow)

    def on_headers_complete(self) -> None:
        self._taken, self._unused_bytes = True, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._begun, self._taken, self._unused_bytes = False, False, 0
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

    def send_400_response(self, msg: str) -> None:
        """uvicorn's refusal of what it cannot parse."""
        self._refuse(ApiError(400, msg, code="invalid_http"))

    def _too_slow(self) -> None:
        if self._begun:
            self._refuse(ApiError(408, "The request took too long to arrive.", code="request_timeout"))
        else:
            self.transport.abort()

    def _refuse(self, error: ApiError) -> None:
        """Answer in place of the application and close. Where it has taken the request or still answers one before,
        another answer would look like a part of its own."""
        self._stop_reading_timer()
        if self._taken or (self.cycle is not None and not self.cycle.response_complete):
            self.transport.abort()
            return
        body = json.dumps(error.document()).encode()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[error.status] + head + body)
        self.transport.close()

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
