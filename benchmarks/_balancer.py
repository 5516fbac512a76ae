"""A stand-in for the load balancer in front of a cluster, or for a Service: connections on loopback, spread over
endpoints that come and go."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["Balancer"]

_CHUNK = 64 * 1024
_CONNECT_SECONDS, _AGAIN_SECONDS = 5.0, 0.02


@dataclass(kw_only=True)
class Balancer:
    """``with Balancer() as balancer:`` listens on a free port; ``endpoints`` (host and port) are taken in turn.

    Like kube-proxy it spreads connections, not requests, and leaves those that exist where they are. Unlike it, it goes
    on to the next endpoint when one refuses the connection, for a few seconds, as load balancers in front of clusters
    do: nothing has been sent by then, so nothing is sent twice.
    """

    endpoints: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""
    _turn: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Balancer:
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Cancelled at the end of all; asyncio's server would print that.
            with suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    away = await self._connect()
                await asyncio.gather(_pass(reader, away[1]), _pass(away[0], writer))
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            self._turn += 1
            if self.endpoints:
                host, port = self.endpoints[self._turn % len(self.endpoints)]
                with suppress(ConnectionError):
                    return await asyncio.open_connection(host, port)
            await asyncio.sleep(_AGAIN_SECONDS)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    finally:
        writer.close()
