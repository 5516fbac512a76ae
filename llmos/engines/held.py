"""A lock while it is held: kept alive by a thread, and the guard of everything that is done under it."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from llmos.console import warn
from llmos.daemons import wait_until
from llmos.engines.base import Progress
from llmos.engines.holder import RUN_VARIABLE, Holder, processes_of_run, this_process
from llmos.engines.lease import LeaseStore
from llmos.kube import KubeObject
from planner.faults import EnvironmentFault, Fault

__all__ = ["DEFAULT_TIMING", "Held", "Timing", "held_fault"]

_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long a lock lasts.

    Attributes:
        duration_seconds: after this long without a renewal the holder counts as dead. 60 s: long enough for a machine
            that is busy building images, short enough to wait for.
        renew_seconds: time between renewals, a quarter of that. A holder that could not renew for
            ``duration_seconds - renew_seconds`` stops, so that it has stopped before another one may start.
    """

    duration_seconds: float = 60
    renew_seconds: float = 15

    @property
    def give_up_seconds(self) -> float:
        return self.duration_seconds - self.renew_seconds


DEFAULT_TIMING = Timing()


class _LostError(Exception):
    """The Lease is somebody else's by now, or gone."""


class Held:
    """The lock of this run, and the guard of what it asks of kubectl (``kube.Guard``).

    Attributes:
        kube: the cluster, for everything that is done under the lock.
        lost: set once the lock is lost; a kubectl that runs under it is then ended.
    """

    def __init__(self, store: LeaseStore, *, command: str, timing: Timing) -> None:
        self._store, self._timing = store, timing
        self._me = this_process(command=command, duration_seconds=timing.duration_seconds)
        self._lease: KubeObject = {}
        self._renewed = (0.0, 0.0)
        self._fault: Fault | None = None
        self._mutex = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lock", daemon=True)
        self.lost = threading.Event()
        self.kube = dataclasses.replace(store.kube, guard=self)

    @property
    def environment(self) -> Mapping[str, str]:
        """What marks the programs of this run."""
        return {RUN_VARIABLE: self._me.run}

    def check(self) -> None:
        """Raise when the lock is lost. After a machine slept, this asks the server instead of trusting the thread."""
        if self._done.is_set():
            return
        if self._silence() > self._timing.give_up_seconds:
            self._renew()
        if self._fault is not None:
            raise EnvironmentFault(self._fault)

    def take(self, progress: Progress) -> None:
        """Take the lock and begin to keep it alive.

        Raises:
            EnvironmentFault: another run holds it.
        """
        for _ in range(_ATTEMPTS):
            before = self._store.read()
            holder = Holder.of(before) if before else None
            if before and holder:
                self._require_dead(holder, before, progress)
            if self._write(before):
                self._thread.start()
                return
        what = "several runs try to take the lock at the same time"
        raise EnvironmentFault(Fault(what=what, where=self._store.where, fix="run the command again"))

    def abandon(self) -> None:
        """Stop renewing, because the namespace is going away with the Lease in it."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def release(self) -> None:
        """Give the lock back, unless it is lost or abandoned."""
        abandoned = self._done.is_set()
        self.abandon()
        if abandoned or self.lost.is_set():
            return
        try:
            self._store.delete(self._lease)
        except EnvironmentFault as error:
            seconds = self._timing.duration_seconds
            warn(f"the stack's lock could not be released ({error.faults[0].what}); it expires in {seconds:g} s")

    def _require_dead(self, holder: Holder, lease: KubeObject, progress: Progress) -> None:
        """Return when the holder is dead, else refuse."""
        if holder.died_here:
            progress(f"a run that no longer lives held the stack: {holder}")
            _await_children(holder, progress, seconds=self._timing.duration_seconds)
            return
        if holder.expires_in(datetime.now(UTC)) > 0:
            raise EnvironmentFault(held_fault(holder, self._store))
        # Its clock may be wrong, or ours: only one that says nothing while we watch is dead.
        progress(f"the lock of {holder} has expired: watching whether it is renewed")
        version = lease["metadata"]["resourceVersion"]
        if wait_until(lambda: self._version() != version, timeout_seconds=self._timing.renew_seconds * 1.5):
            raise EnvironmentFault(held_fault(holder, self._store))

    def _version(self) -> str:
        lease = self._store.read()
        return lease["metadata"]["resourceVersion"] if lease else ""

    def _write(self, over: KubeObject | None) -> bool:
        started = _moment()
        written = self._store.write(self._me, over=over)
        if written is None:
            return False
        self._lease, self._renewed = written, started
        return True

    def _keep(self) -> None:
        while not self._done.wait(self._timing.renew_seconds) and not self.lost.is_set():
            self._renew()

    def _renew(self) -> None:
        with self._mutex:
            if self._done.is_set() or self.lost.is_set():
                return
            try:
                if not self._write(self._lease):
                    self._write(self._still_ours())
            except _LostError as error:
                self._lose(str(error))
            except EnvironmentFault as error:
                if self._silence() > self._timing.give_up_seconds:
                    said = error.faults[0].what
                    self._lose(f"it could not be renewed for {self._timing.give_up_seconds:g} s ({said})")

    def _still_ours(self) -> KubeObject:
        """The Lease as it is now, when only somebody's label or annotation made our version old."""
        lease = self._store.read()
        holder = Holder.of(lease) if lease else None
        if lease is None or holder is None:
            raise _LostError("somebody broke it (`llmos unlock`)")
        if holder.run != self._me.run:
            raise _LostError(f"{holder} holds it now")
        return lease

    def _lose(self, why: str) -> None:
        self._fault = Fault(
            what=f"this run lost the lock of the stack and stopped: {why}", where=self._store.where,
            fix="when no other run works on the stack, repeat the command: it goes on from where this one stopped",
        )
        self.lost.set()

    def _silence(self) -> float:
        """Seconds since the last renewal was begun. A machine that slept shows in one of the two clocks only."""
        return max(now - then for now, then in zip(_moment(), self._renewed, strict=True))


def held_fault(holder: Holder, store: LeaseStore) -> Fault:
    """What a run is told that finds the stack held."""
    left = max(1, round(holder.expires_in(datetime.now(UTC))))
    return Fault(
        what=f"another run holds the stack: {holder}", where=store.where,
        nearest=f"wait for it to end; a run that died loses the lock by itself in {left} s",
        fix=f"only when that run is certainly dead: `python3 -m llmos unlock --stack {store.stack}`",
    )


def _moment() -> tuple[float, float]:
    return time.monotonic(), time.time()


def _await_children(holder: Holder, progress: Progress, *, seconds: float) -> None:
    """A kubectl outlives the run that was killed, and would go on writing what that run wanted."""
    working = processes_of_run(holder.run)
    if not working:
        return
    progress(f"waiting for what it left at work: {', '.join(f'process {process.pid}' for process in working)}")
    if not wait_until(lambda: not processes_of_run(holder.run), timeout_seconds=seconds):
        left = ", ".join(f"process {process.pid}" for process in processes_of_run(holder.run))
        what = f"a program of a killed run still works on the stack: {left}"
        raise EnvironmentFault(Fault(what=what, where=str(holder), fix="end it, and run the command again"))
