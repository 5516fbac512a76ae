"""Load that counts what is lost: short requests at a fixed rate and streams that are always open, nothing retried."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import aiohttp

__all__ = ["Load", "Outcome", "Report", "report"]

_REQUEST_SECONDS = 30.0
"""A short request that takes longer is lost, and so is a stream that is silent for as long."""
_CONNECT_SECONDS = 5.0
_KILL_SECONDS = 2.0
"""So long after a kill the kernel may take to break the connections of the process."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request: ``problem`` is empty when it was answered whole; ``broken``: its connection was made, and broke."""

    stream: bool
    started: float
    ended: float
    problem: str = ""
    broken: bool = False
    longest_gap_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a load has seen.

    Attributes:
        requests: all that were sent, streams included.
        streams: those of them that were streams.
        lost: not answered whole, except ``lost_in_flight``.
        lost_in_flight: open on a replica while it was killed without warning, and broken by that.
        longest_stall_seconds: longest time in which no short request was answered.
        longest_gap_seconds: longest silence inside a stream that ended whole.
        problems: how many were lost for which reason.
        last_loss: clock (``time.monotonic``) of the last loss; None without any.
    """

    requests: int
    streams: int
    lost: int
    lost_in_flight: int
    longest_stall_seconds: float
    longest_gap_seconds: float
    problems: dict[str, int]
    last_loss: float | None


@dataclass(kw_only=True)
class Load:
    """``with Load(url=…, key=…) as load: …`` runs the load in a thread of its own; ``load.stop()`` ends and reports it.

    Entering returns once a short request and a stream have been answered.

    Args:
        url: base URL of the application.
        key: API key.
        per_second: short requests, sent whether or not earlier ones have been answered.
        streams: streams that are open at any time.
        stream_tokens: length of a stream; a new one follows.
        begin_seconds: for the first answers to come.
        reconnect: a connection for each request, where replicas that are new shall get their share.
    """

    url: str
    key: str = field(repr=False)
    per_second: float = 50.0
    streams: int = 20
    stream_tokens: int = 100
    begin_seconds: float = 60.0
    reconnect: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    kills: list[tuple[float, float]] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _begun: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        if not self._begun.wait(self.begin_seconds):
            raise RuntimeError(f"nothing was answered in {self.begin_seconds:g} s: {self.stop().problems}")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def killing(self) -> Iterator[None]:
        """Around the kill of a replica: what is open on it then may be lost, and is counted apart."""
        begun = time.monotonic()
        yield
        self.kills.append((begun, time.monotonic()))

    def stop(self) -> Report:
        """Send nothing more, wait until everything has ended, and say what was seen."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        return report(self.outcomes, kills=self.kills)

    async def _run(self) -> None:
        headers = {"authorization": f"Bearer {self.key}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_REQUEST_SECONDS)
        connector = aiohttp.TCPConnector(limit=0, force_close=self.reconnect)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
            await asyncio.gather(self._short_requests(session), *(self._streams(session) for _ in range(self.streams)))

    async def _short_requests(self, session: aiohttp.ClientSession) -> None:
        started, tasks = time.monotonic(), set()
        number = 0
        while not self._ending.is_set():
            tasks.add(task := asyncio.create_task(self._one(session, stream=False)))
            task.add_done_callback(tasks.discard)
            number += 1
            await asyncio.sleep(max(0.0, started + number / self.per_second - time.monotonic()))
        await asyncio.gather(*tasks)

    async def _streams(self, session: aiohttp.ClientSession) -> None:
        while not self._ending.is_set():
            outcome = await self._one(session, stream=True)
            if outcome.problem:  # as a user would not come back within the same millisecond
                await asyncio.sleep(0.1)

    async def _one(self, session: aiohttp.ClientSession, *, stream: bool) -> Outcome:
        started = time.monotonic()
        problem, broken, gap = "", False, 0.0
        try:
            gap = await (self._read_stream(session) if stream else self._read_short(session))
        except _Refused as error:
            problem = str(error)
        except (aiohttp.ClientError, OSError) as error:
            problem = type(error).__name__
            broken = not isinstance(error, TimeoutError | aiohttp.ClientConnectorError)
        outcome = Outcome(stream=stream, started=started, ended=time.monotonic(), problem=problem, broken=broken,
                          longest_gap_seconds=gap)  # fmt: skip
        self.outcomes.append(outcome)
        if not problem and (stream or not self.streams):
            self._begun.set()
        return outcome

    async def _read_short(self, session: aiohttp.ClientSession) -> float:
        async with asyncio.timeout(_REQUEST_SECONDS), self._post(session, stream=False, tokens=1) as reply:
            body = await reply.read()
            if reply.status != 200:
                raise _Refused(f"HTTP {reply.status} {_code(body)}")
        return 0.0

    async def _read_stream(self, session: aiohttp.ClientSession) -> float:
        """The longest silence; raises when the stream does not end as it should."""
        last, gap, done = 0.0, 0.0, False
        async with self._post(session, stream=True, tokens=self.stream_tokens) as reply:
            if reply.status != 200:
                raise _Refused(f"HTTP {reply.status} {_code(await reply.read())}")
            async for line in reply.content:
                if b'"error"' in line[:20]:
                    raise _Refused(f"error event {_code(line.removeprefix(b'data: '))}")
                now = time.monotonic()
                last, gap = now, max(gap, now - last if last else 0.0)
                done = done or line.startswith(b"data: [DONE]")
        if not done:
            raise aiohttp.ClientPayloadError("the stream ended before [DONE]")
        return gap

    def _post(self, session: aiohttp.ClientSession, *, stream: bool, tokens: int) -> Any:
        message = {"role": "user", "content": "Is it going on?"}
        body = {"messages": [message], "max_tokens": tokens, "stream": stream}
        return session.post(f"{self.url}/v1/chat/completions", json=body)


class _Refused(Exception):
    """An answer that is an error."""


def _code(body: bytes) -> str:
    """The code of an error in the form of the OpenAI API, when it has one."""
    found = body.partition(b'"code"')[2].split(b'"')
    return found[1].decode("ascii", "replace") if len(found) > 1 else ""


def report(outcomes: Sequence[Outcome], *, kills: Sequence[tuple[float, float]] = ()) -> Report:
    """Sum up what happened to each request."""
    lost = [one for one in outcomes if one.problem]
    in_flight = [one for one in lost if one.broken and _open_at_a_kill(one, kills)]
    others = [one for one in lost if one not in in_flight]
    answered = sorted(one.ended for one in outcomes if not one.stream and not one.problem)
    return Report(
        requests=len(outcomes),
        streams=sum(one.stream for one in outcomes),
        lost=len(others),
        lost_in_flight=len(in_flight),
        longest_stall_seconds=max((later - earlier for earlier, later in pairwise(answered)), default=0.0),
        longest_gap_seconds=max((one.longest_gap_seconds for one in outcomes if not one.problem), default=0.0),
        problems=dict(Counter(one.problem for one in others)),
        last_loss=max((one.ended for one in others), default=None),
    )


def _open_at_a_kill(outcome: Outcome, kills: Sequence[tuple[float, float]]) -> bool:
    return any(outcome.started < done and begun <= outcome.ended <= done + _KILL_SECONDS for begun, done in kills)
