"""What surrounds every request: its id, the count of open requests, refusal while stopping, metrics, one log line."""

from __future__ import annotations

import re
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.drain import Drain
from assistant.errors import ApiError
from assistant.logs import log_request
from assistant.metrics import Metrics

__all__ = ["CHAT_PATH", "MODELS_PATH", "PUBLIC_PATHS", "Envelope"]

CHAT_PATH = "/v1/chat/completions"
MODELS_PATH = "/v1/models"
PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json"})
"""Answered without a key, during draining too, and not counted."""

_KNOWN_PATHS = frozenset({CHAT_PATH, MODELS_PATH})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CLIENT_GONE = 499


class Envelope:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp, *, drain: Drain, metrics: Metrics) -> None:
        self._app, self._drain, self._metrics = app, drain, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = time.perf_counter()
        status = _CLIENT_GONE

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                headers.append((b"x-request-id", request_id))
                if self._drain.draining:
                    headers.append((b"connection", b"close"))
            await send(message)

        self._drain.enter()
        try:
            with self._metrics.in_flight.track_inprogress():
                await self._answer(scope, receive, send_marked)
        finally:
            self._drain.leave()
            self._record(scope, status, time.perf_counter() - started, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._drain.refusing:
            error = ApiError(
                503, "This replica is stopping. Try again.", code="shutting_down", headers={"retry-after": "1"}
            )
            await error.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: bytes) -> None:
        path = scope["path"] if scope["path"] in _KNOWN_PATHS else "other"
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.duration.labels(path).observe(seconds)
        log_request(
            scope,
            method=scope["method"],
            path=scope["path"],
            status=status,
            duration_ms=round(seconds * 1000, 1),
            request_id=request_id.decode(),
        )


def _request_id(scope: Scope) -> bytes:
    """The caller's id when it is harmless in a header and a log, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    return uuid.uuid4().hex.encode()
