"""The model server: any OpenAI-compatible one, by its URL."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from assistant.errors import ApiError
from assistant.resolver import KeptResolver
from assistant.upstream import UNAVAILABLE, refusal, transport_error

__all__ = ["Backend"]

_CHECK_SECONDS = 2.0
"""How long a readiness result is reused, and how long a check may take: probes must not add load."""
_ATTEMPT_SECONDS, _AGAIN_SECONDS = 1.0, 0.1
"""For one attempt to connect, and between two: within a cluster connecting takes milliseconds, or the pod has gone."""


@dataclass(kw_only=True)
class _Pool:
    """Connections that were opened about the same time."""

    session: aiohttp.ClientSession
    opened: float
    users: int = 0


class Backend:
    """Client of one model server. Make it inside a running event loop, and ``close`` it.

    Connections are reused, but not for ever: a Service spreads connections, not requests, so an old connection would
    keep loading a pod that is about to stop, and new pods would get nothing.

    Args:
        url: base URL, with or without ``/v1``.
        model: its name for the model; empty: the first that it lists.
        api_key: sent as bearer token; empty: none.
        connect_seconds: for opening a connection, in as many attempts as it takes.
        silence_seconds: between two bytes of an answer, so also until the first byte.
        connection_seconds: age at which a connection is used no more; 0: one connection per request. Below the preStop
            of model servers (5 s), with time for news of endpoints: then none gets a request after its SIGTERM.
    """

    def __init__(
        self, *, url: str, model: str, api_key: str, connect_seconds: float, silence_seconds: float,
        connection_seconds: float,
    ) -> None:
        base = url.rstrip("/")
        self._base = base if urlsplit(base).path else f"{base}/v1"
        self._wanted = self._model = model
        self._headers = {"accept-encoding": "identity", "content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        attempt_seconds = min(connect_seconds, _ATTEMPT_SECONDS)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=attempt_seconds, sock_read=silence_seconds)
        self._connect_seconds = connect_seconds
        self._connection_seconds = connection_seconds
        self._resolver = KeptResolver()
        self._pool = self._new_pool()
        self._checked: tuple[float, str] = (float("-inf"), "")
        self._checking = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.session.close()
        await self._resolver.close()

    async def model(self) -> str:
        """Name of the model at the model server.

        Raises:
            ApiError: 503, when it must be asked for and the server does not answer.
        """
        if not self._model and (problem := await self.problem()):
            raise ApiError(503, problem, code="backend_unavailable", headers={"retry-after": "1"})
        return self._model

    async def problem(self) -> str:
        """Why the model server cannot answer now, in a sentence; empty when it can. Costs a request at most every
        two seconds."""
        async with self._checking:
            when, result = self._checked
            if time.monotonic() - when >= _CHECK_SECONDS:
                result = await self._check()
                self._checked = (time.monotonic(), result)
            return result

    @asynccontextmanager
    async def chat(self, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to a chat completion, open for reading.

        Raises:
            ApiError: when the server refuses, fails or cannot be reached.
        """
        pool = await self._enter_pool()
        reply: aiohttp.ClientResponse | None = None
        try:
            reply = await self._post(pool.session, body)
            if reply.status != 200:
                raise refusal(reply.status, await reply.read(), {k.lower(): v for k, v in reply.headers.items()})
            # As good as a check, and a busy server is slow to answer those: it must not lose all its replicas for it.
            self._checked = (time.monotonic(), "")
            yield reply
        except (aiohttp.ClientError, TimeoutError) as error:
            raise transport_error(error) from error
        finally:
            if reply is not None:
                reply.release()
            await self._leave_pool(pool)

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> aiohttp.ClientResponse:
        """Send the request; once more when the connection broke before any answer: the server may have closed an idle
        connection at that moment, or its pod may have gone. A completion has no side effect, so twice is safe.

        Where no connection could be made nothing was sent, so that is tried for as long as it may take: a Service still
        names a pod for a moment that has gone, and the next connection leads to another one."""
        url, again = f"{self._base}/chat/completions", True
        deadline = time.monotonic() + self._connect_seconds
        while True:
            try:
                return await session.post(url, data=body, allow_redirects=False)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)
            except aiohttp.ClientConnectionError as error:
                if isinstance(error, TimeoutError) or not again:
                    raise
                again = False

    async def _check(self) -> str:
        pool = await self._enter_pool()
        try:
            async with (
                asyncio.timeout(_CHECK_SECONDS),
                pool.session.get(f"{self._base}/models", allow_redirects=False) as reply,
            ):
                status, body = reply.status, await reply.read()
        except (aiohttp.ClientError, TimeoutError):
            return UNAVAILABLE
        finally:
            await self._leave_pool(pool)
        if status != 200:
            return f"The model server answers HTTP {status} when asked for its models."
        names = _model_names(body)
        if not names:
            return "The model server lists no model."
        if self._wanted and self._wanted not in names:
            return f"The model server does not serve {self._wanted!r}, only {', '.join(names)}."
        self._model = self._wanted or names[0]
        return ""

    def _new_pool(self) -> _Pool:
        connector = aiohttp.TCPConnector(
            # The gate bounds concurrency. 3 s is below the idle timeout of uvicorn (vLLM) and llama.cpp, both 5 s.
            limit=0, resolver=self._resolver,
            **({"keepalive_timeout": 3.0} if self._connection_seconds else {"force_close": True}),
        )
        session = aiohttp.ClientSession(
            connector=connector, headers=self._headers, timeout=self._timeout, auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return _Pool(session=session, opened=time.monotonic())

    async def _enter_pool(self) -> _Pool:
        pool = self._pool
        if self._connection_seconds and time.monotonic() - pool.opened > self._connection_seconds:
            self._pool = self._new_pool()
            if not pool.users:
                await pool.session.close()
        self._pool.users += 1
        return self._pool

    async def _leave_pool(self, pool: _Pool) -> None:
        pool.users -= 1
        if pool is not self._pool and not pool.users:
            await pool.session.close()


def _model_names(body: bytes) -> list[str]:
    try:
        document: Any = json.loads(body)
        return [str(model["id"]) for model in document["data"]]
    except (ValueError, TypeError, KeyError):
        return []
