"""POST /v1/chat/completions."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

import aiohttp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.backend import Backend
from assistant.cache import ResponseCache
from assistant.disconnect import ClientGone, until_disconnect
from assistant.errors import ApiError
from assistant.gate import Gate
from assistant.keys import ApiKeys
from assistant.logs import note
from assistant.metrics import Metrics
from assistant.pace import Pace
from assistant.presets import Preset
from assistant.prompt import Prompt, prepare
from assistant.schema import parse_chat

__all__ = ["Chat"]

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events otherwise
]


@dataclass(frozen=True, kw_only=True)
class Chat:
    """The endpoint, an ASGI application. Events are passed on as the bytes that came: nothing is parsed on the way."""

    backend: Backend
    gate: Gate
    cache: ResponseCache
    keys: ApiKeys
    metrics: Metrics
    preset: Preset
    max_body_bytes: int
    read_seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        caller = self.keys.caller(request.headers.get("authorization"))
        note(scope, caller=caller)
        started = time.perf_counter()
        try:
            body = await self._read(request)
            answer = self._answer(body, scope, receive, send, caller=caller, started=started)
            await until_disconnect(receive, answer)
        except (ClientGone, ClientDisconnect):
            note(scope, client_gone=True)

    async def _read(self, request: Request) -> bytes:
        """The body, as long as it is small enough and comes fast enough."""
        too_large = ApiError(413, f"The body exceeds {self.max_body_bytes} bytes.", code="request_too_large")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_body_bytes:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.read_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self.max_body_bytes:
                        raise too_large
        except TimeoutError:
            raise ApiError(408, "The request took too long to arrive.", code="request_timeout") from None
        return bytes(body)

    async def _answer(
        self, body: bytes, scope: Scope, receive: Receive, send: Send, *, caller: str, started: float
    ) -> None:
        request = parse_chat(body)
        model = await self.backend.model()
        if request.model not in (None, model):
            message = f"The model {request.model!r} does not exist; this server has {model!r}."
            raise ApiError(404, message, code="model_not_found", param="model")
        prompt = prepare(request, preset=self.preset, model=model)
        if prompt.stream:
            async with self.gate:
                await self._stream(prompt, scope, send, started=started)
        else:
            response = await self._whole(prompt, scope, caller=caller)
            await response(scope, receive, send)

    async def _whole(self, prompt: Prompt, scope: Scope, *, caller: str) -> Response:
        """The complete answer, from the cache where the same caller may be told the same again."""
        if not prompt.deterministic:
            return Response(await self._complete(prompt), media_type="application/json")
        key = prompt.cache_key(caller)
        cached = self.cache.get(key)
        if cached is None:
            self.metrics.cache_misses.inc()
            answer = await self._complete(prompt)
            self.cache.put(key, answer)
        else:
            self.metrics.cache_hits.inc()
            answer = cached
        state = "miss" if cached is None else "hit"
        note(scope, cache=state)
        return Response(answer, media_type="application/json", headers={"x-cache": state})

    async def _complete(self, prompt: Prompt) -> bytes:
        async with self.gate, self.backend.chat(prompt.body) as reply:
            _expect(reply, "application/json")
            return await reply.read()

    async def _stream(self, prompt: Prompt, scope: Scope, send: Send, *, started: float) -> None:
        begun = False
        pace = Pace(started)
        try:
            async with self.backend.chat(prompt.body) as reply:
                _expect(reply, "text/event-stream")
                async for chunk in reply.content.iter_any():
                    pace.count(chunk)
                    if not begun:
                        begun = True
                        await send({"type": "http.response.start", "status": 200, "headers": list(_STREAM_HEADERS)})
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not begun:
                raise ApiError(502, "The model server sent an empty answer.", code="backend_error")
        except ApiError as error:
            if not begun:
                raise
            note(scope, error=error.code)
            event = b"\n\ndata: " + json.dumps(error.document()).encode() + b"\n\n"
            await send({"type": "http.response.body", "body": event, "more_body": True})
        finally:
            note(scope, stream=True, **pace.report(self.metrics))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _expect(reply: aiohttp.ClientResponse, media_type: str) -> None:
    if reply.content_type != media_type:
        raise ApiError(502, f"The model server sent {reply.content_type}, not {media_type}.", code="backend_error")

