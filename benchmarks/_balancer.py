"""A stand-in for a Service: connections on loopback, spread over endpoints that come and go."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["Balancer"]

_CHUNK = 64 * 1024


@dataclass(kw_only=True)
class Balancer:
    """``with Balancer() as balancer:`` listens on a free port; ``endpoints`` are ports of loopback, in turn.

    Like kube-proxy it spreads connections, not requests, and leaves those that exist where they are. Unlike it, it goes
    on to the next endpoint when one refuses the connection, as load balancers in front of clusters do.
    """

    endpoints: list[int] = field(default_factory=list)
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
            for port in self._in_turn():
                with suppress(OSError):
                    away = await asyncio.open_connection("127.0.0.1", port)
                    break
            else:
                return
            await asyncio.gather(_pass(reader, away[1]), _pass(away[0], writer))
        finally:
            writer.close()

    def _in_turn(self) -> list[int]:
        self._turn += 1
        ports = list(self.endpoints)
        first = self._turn % len(ports) if ports else 0
        return ports[first:] + ports[:first]


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    finally:
        writer.close()
