"""A stand-in for a model server with a known pace, and a client that times its streams."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

__all__ = ["MODEL", "Timing", "application", "standin", "timed_stream"]

MODEL = "stand-in"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One stream as its reader saw it: time to first token, mean time between tokens, and time to the end."""

    ttft_seconds: float
    tpot_seconds: float
    total_seconds: float
    tokens: int


def application(*, token_seconds: float, model: str = MODEL) -> web.Application:
    """An OpenAI-compatible server that takes ``token_seconds`` for every token, the first one included, and computes
    any number of requests at a time."""

    async def chat(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        started, tokens = asyncio.get_running_loop().time(), int(asked.get("max_tokens") or 1)
        if not asked.get("stream"):
            await _until(started + tokens * token_seconds)
            return web.json_response(_document(tokens))
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        with suppress(ConnectionError):  # who asked has gone
            for number in range(tokens):
                # By the clock and not one pause after the other, so that a busy machine does not slow one side more.
                await _until(started + (number + 1) * token_seconds)
                if not number:
                    await reply.prepare(request)
                await reply.write(_event(number))
            await reply.write(b"data: [DONE]\n\n")
            await reply.write_eof()
        return reply

    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": model, "object": "model"}]})

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", models), web.get("/health", health)])
    return app


@asynccontextmanager
async def standin(*, token_seconds: float) -> AsyncIterator[str]:
    """Base URL of such a server on loopback."""
    runner = web.AppRunner(application(token_seconds=token_seconds), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def timed_stream(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Timing:
    """Read one stream to its end.

    Raises:
        aiohttp.ClientError: the answer is an error, or breaks off.
    """
    started = time.perf_counter()
    times: list[float] = []
    done = False
    async with session.post(f"{url}/v1/chat/completions", json={**body, "stream": True}) as reply:
        reply.raise_for_status()
        async for line in reply.content:
            if line.startswith(b"data: [DONE]"):
                done = True
            elif line.startswith(b"data:") and b'"content"' in line:
                times.append(time.perf_counter())
    if not done or not times:
        raise aiohttp.ClientPayloadError("the stream ended before [DONE]")
    gaps = len(times) - 1
    return Timing(
        ttft_seconds=times[0] - started, tpot_seconds=(times[-1] - times[0]) / gaps if gaps else 0.0,
        total_seconds=time.perf_counter() - started, tokens=len(times),
    )  # fmt: skip


async def _until(when: float) -> None:
    await asyncio.sleep(max(0.0, when - asyncio.get_running_loop().time()))


def _event(number: int) -> bytes:
    choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n"


def _document(tokens: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": "word " * tokens}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1},
    }  # fmt: skip
