"""Replicas of the application as plain processes behind a balancer: the smallest place where faults can be tried."""

from __future__ import annotations

import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks._balancer import Balancer
from benchmarks._loopback import Program, application

__all__ = ["Processes", "processes", "wait_for"]

_KEY = "sk-reliability"
_NEWS_SECONDS = 0.5
"""How long endpoints take to follow readiness, as in a cluster: after a probe, and the time that news takes."""


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float) -> None:
    """Until ``condition`` holds.

    Raises:
        TimeoutError: not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)


@dataclass(kw_only=True)
class Processes:
    """Replicas of the application, replaced as a Deployment does it: ready before the old one goes, which leaves the
    endpoints first, waits for its preStop, and gets SIGTERM.

    Attributes:
        wanted: replicas.
        settings: environment variables of each.
        pre_stop_seconds: between leaving the endpoints and SIGTERM.
    """

    url: str
    wanted: int
    settings: dict[str, str]
    pre_stop_seconds: float
    key: str = field(default=_KEY, repr=False)
    _folder: Path
    _balancer: Balancer
    _stack: ExitStack
    running: list[Program] = field(default_factory=list)
    _leaving: list[threading.Thread] = field(default_factory=list)

    def replicas(self) -> list[int]:
        """Process ids of those that are meant to serve."""
        return [one.process.pid for one in self.running]

    def whole(self) -> bool:
        """Whether as many as wanted serve, and all that were to go have gone."""
        self._leaving = [one for one in self._leaving if one.is_alive()]
        alive = [one for one in self.running if one.process.poll() is None and _ready(one.url)]
        return len(alive) == self.wanted == len(self.running) and not self._leaving

    def restore(self) -> None:
        """As many as wanted, all of them alive."""
        self.running = [one for one in self.running if one.process.poll() is None]
        self.scale(self.wanted)

    def kill(self, number: int) -> Program:
        """SIGKILL to one of ``running``; nothing else knows of it yet."""
        victim = self.running[number]
        victim.process.kill()
        victim.process.wait()
        return victim

    def replace(self, victim: Program) -> None:
        """What a cluster does about one that is dead: it leaves the endpoints, and a new one comes."""
        time.sleep(_NEWS_SECONDS)
        self.running.remove(victim)
        self._publish()
        self._add()

    def roll(self, **settings: str) -> None:
        """Replace all by replicas with other settings, one after the other."""
        self.settings |= settings
        for old in list(self.running):
            self._add()
            self._remove(old)

    def scale(self, count: int) -> None:
        """To another number of replicas."""
        self.wanted = count
        for _ in range(count - len(self.running)):
            self._add()
        for old in self.running[: max(0, len(self.running) - count)]:
            self._remove(old)

    def _add(self) -> None:
        made = self._stack.enter_context(application(self._folder, {**self.settings, "API_KEYS": self.key}))
        wait_for(lambda: _ready(made.url), "a new replica is ready", seconds=60)
        self.running.append(made)
        self._publish()

    def _remove(self, old: Program) -> None:
        self.running.remove(old)
        self._leaving.append(threading.Thread(target=self._leave, args=(old,)))
        self._leaving[-1].start()

    def _leave(self, old: Program) -> None:
        threading.Timer(_NEWS_SECONDS, self._publish).start()
        time.sleep(self.pre_stop_seconds)
        old.process.send_signal(signal.SIGTERM)
        old.process.wait()

    def _publish(self) -> None:
        self._balancer.endpoints = [("127.0.0.1", urlsplit(one.url).port or 0) for one in self.running]

    def _end(self) -> None:
        for one in self._leaving:
            one.join()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def processes(
    folder: Path, *, backend_url: str, replicas: int = 3, pre_stop_seconds: float = 1.0, **settings: str
) -> Iterator[Processes]:
    """``replicas`` applications over one model server; ``settings`` are environment variables of each."""
    with ExitStack() as stack:
        balancer = stack.enter_context(Balancer())
        made = Processes(
            url=balancer.url, wanted=0, pre_stop_seconds=pre_stop_seconds, _folder=folder, _balancer=balancer,
            # The application's own delay, as pods have it.
            _stack=stack, settings={"BACKEND_URL": backend_url, "DRAIN_DELAY_SECONDS": "5", **settings},
        )  # fmt: skip
        made.scale(replicas)
        try:
            yield made
        finally:
            made._end()
