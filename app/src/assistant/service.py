"""The ASGI application: everything wired together."""

from __future__ import annotations

import time
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from assistant import openapi
from assistant.backend import Backend
from assistant.cache import ResponseCache
from assistant.chat import Chat
from assistant.drain import Drain
from assistant.envelope import CHAT_PATH, MODELS_PATH, Envelope
from assistant.errors import ApiError, on_api_error, on_crash, on_http_exception
from assistant.gate import Gate
from assistant.keys import ApiKeys
from assistant.logs import note
from assistant.metrics import Metrics
from assistant.presets import Preset
from assistant.settings import Settings

__all__ = ["build"]

_BUILTIN_NOTE = "Random weights, made for tests: every answer is nonsense by design."


def build(settings: Settings, *, preset: Preset, drain: Drain, backend: Backend, builtin: bool) -> ASGIApp:
    """The application.

    Args:
        settings: checked settings.
        preset: what the application is for.
        drain: told by the server when to stop.
        backend: client of the model server.
        builtin: whether the model is the tiny random one of the image, which ``/v1/models`` then says.
    """
    gate = Gate(
        concurrent=settings.max_concurrent, queued=settings.max_queued, wait_seconds=settings.queue_seconds
    )
    cache = ResponseCache(
        entries=settings.cache_entries, size_bytes=settings.cache_bytes, ttl_seconds=settings.cache_ttl_seconds
    )
    metrics = Metrics(gate=gate, cache=cache)
    chat = Chat(
        backend=backend,
        gate=gate,
        cache=cache,
        keys=settings.api_keys,
        metrics=metrics,
        preset=preset,
        max_body_bytes=settings.max_body_bytes,
        read_seconds=settings.client_read_seconds,
    )

    app = Starlette(
        routes=[
            Route(CHAT_PATH, chat, methods=["POST"]),
            *_model_routes(settings.api_keys, backend, builtin=builtin),
            *_public_routes(backend, drain, metrics),
        ],
        exception_handlers={ApiError: on_api_error, HTTPException: on_http_exception, Exception: on_crash},
    )
    app.router.redirect_slashes = False
    return Envelope(app, drain=drain, metrics=metrics)


def _model_routes(keys: ApiKeys, backend: Backend, *, builtin: bool) -> list[Route]:
    created = int(time.time())

    async def entry(request: Request) -> dict[str, Any]:
        note(request.scope, caller=keys.caller(request.headers.get("authorization")))
        known = {"id": await backend.model(), "object": "model", "created": created, "owned_by": "model-server"}
        return {**known, "description": _BUILTIN_NOTE} if builtin else known

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [await entry(request)]})

    async def model(request: Request) -> Response:
        found = await entry(request)
        if found["id"] != request.path_params["name"]:
            raise ApiError(404, "The model does not exist.", code="model_not_found", param="model")
        return JSONResponse(found)

    return [Route(MODELS_PATH, models), Route(MODELS_PATH + "/{name:path}", model)]


def _public_routes(backend: Backend, drain: Drain, metrics: Metrics) -> list[Route]:
    """Probes, metrics and the OpenAPI document: no key, and no data of callers."""
    description = openapi.document()

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_request: Request) -> Response:
        reason = "draining" if drain.draining else await backend.problem()
        if reason:
            return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def page(_request: Request) -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4")

    async def api(_request: Request) -> Response:
        return JSONResponse(description)

    return [
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", page),
        Route("/openapi.json", api),
    ]
