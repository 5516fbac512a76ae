"""Stopping without cutting a stream."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from types import FrameType

import uvicorn

__all__ = ["Drain", "DrainingServer"]

_log = logging.getLogger("assistant.drain")


class Drain:
    """How far the process is on its way out.

    Attributes:
        draining: readiness is false, answers carry ``Connection: close``; requests are still answered, because load
            balancers and kept-alive connections learn of the end only later.
        refusing: connections without a request are closed, new requests get 503; open ones go on.
        in_flight: requests being answered, probes excepted.
    """

    def __init__(self) -> None:
        self.draining = False
        self.refusing = False
        self.in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """A request has come."""
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        """It has been answered."""
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    async def run(
        self, *, delay_seconds: float, total_seconds: float, close_idle: Callable[[], None] = lambda: None
    ) -> None:
        """Go through all steps; returns when nothing is in flight, or when ``total_seconds`` are over.

        ``close_idle`` closes kept-alive connections as refusing begins: a client whose idle connection ends opens a
        new one, which leads to another replica, while its next request on the old one would be lost.
        """
        self.draining = True
        _log.info("draining", extra={"fields": {"in_flight": self.in_flight}})
        try:
            async with asyncio.timeout(total_seconds):
                await asyncio.sleep(delay_seconds)
                self.refusing = True
                close_idle()
                await self._idle.wait()
        except TimeoutError:
            self.refusing = True
            _log.warning("drain time is over, open requests are cut", extra={"fields": {"in_flight": self.in_flight}})


class DrainingServer(uvicorn.Server):
    """uvicorn that drains on SIGTERM and then exits with 0. A second signal ends it at once."""

    def __init__(self, config: uvicorn.Config, *, drain: Drain, delay_seconds: float, total_seconds: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._seconds = {"delay_seconds": delay_seconds, "total_seconds": total_seconds}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def startup(self, sockets: list | None = None) -> None:
        """Start listening; from here on signals mean draining."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Unlike uvicorn's own, this does not remember the signal, which would be raised again at the end and turn an
        orderly stop into exit status 143."""
        if self._loop is None or self._drain.draining:
            self.should_exit = self.force_exit = True
        else:
            _log.info("received %s", signal.Signals(sig).name)
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        await self._drain.run(**self._seconds, close_idle=self._close_idle)
        self.should_exit = True

    def _close_idle(self) -> None:
        """Busy ones close after their answer; the first request on a new one may be on its way, and is told."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "cycle", None) is not None:
                connection.shutdown()
