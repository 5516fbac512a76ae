"""Replays a request history against a fleet whose replicas take minutes to start.

A fluid model in steps of the horizontal pod autoscaler's period, 15 seconds: requests arrive at the rate of the
history, ready replicas serve up to their capacity, the rest waits. A replica is paid for from the moment it is asked
for. Many settings of one scaler are replayed side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from planner.demand.history import HOUR_SECONDS, History

__all__ = ["SYNC_SECONDS", "Fleet", "Load", "Outcome", "Scaler", "replay"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

SYNC_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class Load:
    """Demand against time, and what a replica of the service is like.

    Attributes:
        rates: requests per second per step.
        requests_per_second_per_replica: what a ready replica serves.
        gpus_per_replica: for the bill.
        step_seconds: a divisor of 60; 15 by default, the autoscaler's period. Longer steps compare settings faster.
        cold_start_seconds: from asking for a replica to its first request: node, image, weights. 300 by default.
        longest_wait_seconds: a minute in which any request waits longer violates the objective. 1 by default, in the
            order of a time-to-first-token objective.
        patience_seconds: a request that would wait longer goes away. 60 by default, a usual client timeout.
    """

    rates: Floats
    requests_per_second_per_replica: float
    gpus_per_replica: int = 1
    step_seconds: int = SYNC_SECONDS
    cold_start_seconds: int = 300
    longest_wait_seconds: float = 1.0
    patience_seconds: float = 60.0

    @classmethod
    def of(
        cls,
        history: History,
        requests_per_second_per_replica: float,
        *,
        cold_start_seconds: int = 300,
        step_seconds: int = SYNC_SECONDS,
    ) -> Load:
        """The load of a history; unknown bins repeat the last known rate."""
        known = np.flatnonzero(history.known)
        last = np.searchsorted(known, np.arange(history.rates.size), side="right") - 1
        filled = history.rates[known[np.maximum(last, 0)]]
        moments = np.arange(0, history.span_seconds, step_seconds)
        return cls(
            rates=filled[(moments // history.bin_seconds).astype(int)],
            requests_per_second_per_replica=requests_per_second_per_replica,
            step_seconds=step_seconds,
            cold_start_seconds=cold_start_seconds,
        )

    @property
    def needed(self) -> Ints:
        """Replicas that serve each step without a queue."""
        return np.maximum(1, np.ceil(self.rates / self.requests_per_second_per_replica - 1e-9)).astype(int)


@dataclass
class Fleet:
    """What a scaler can see, one value per setting.

    Attributes:
        asked: replicas asked for: ready ones and starting ones.
        ready: replicas that serve.
        busy: capacity used in the last minute, in replicas; never more than were ready.
    """

    asked: Ints
    ready: Ints
    busy: Floats


class Scaler(Protocol):
    """Decides, at every step, how many replicas each of its settings asks for."""

    settings: int

    def ask(self, step: int, fleet: Fleet) -> Ints:
        """Replicas per setting from this step on."""
        ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a replay cost and what it missed, one value per setting.

    Attributes:
        gpu_hours: of all replicas asked for, starting ones included.
        violation_minutes: minutes in which a request waited longer than `Load.longest_wait_seconds`.
    """

    gpu_hours: Floats
    violation_minutes: Ints


def replay(load: Load, scaler: Scaler) -> Outcome:
    """Runs a scaler through a load. The fleet starts with what the first step needs, ready."""
    seconds = load.step_seconds
    cold = load.cold_start_seconds // seconds
    per_minute = 60 // seconds
    capacity = load.requests_per_second_per_replica
    count = scaler.settings
    start = np.full(count, load.needed[0])
    asked_lately = np.tile(start, (cold + 1, 1))
    busy_lately = np.tile(start.astype(float), (per_minute, 1))
    fleet = Fleet(asked=start.copy(), ready=start.copy(), busy=start.astype(float))
    backlog = np.zeros(count)
    paid = np.zeros(count)
    violations = np.zeros(count, dtype=int)
    late = np.zeros(count, dtype=bool)
    for step, rate in enumerate(load.rates):
        fleet.asked = np.maximum(1, scaler.ask(step, fleet))
        asked_lately[step % (cold + 1)] = fleet.asked
        # Starting replicas go first when the count falls, so as many are ready as were asked for throughout.
        fleet.ready = asked_lately.min(axis=0)
        serves = fleet.ready * capacity
        served = np.minimum(rate + backlog / seconds, serves)
        backlog = np.minimum(backlog + (rate - served) * seconds, serves * load.patience_seconds)
        busy_lately[step % per_minute] = served / capacity
        fleet.busy = busy_lately.mean(axis=0)
        paid += fleet.asked
        late |= backlog > serves * load.longest_wait_seconds
        if step % per_minute == per_minute - 1:
            violations += late
            late[:] = False
    violations += late
    return Outcome(gpu_hours=paid * load.gpus_per_replica * seconds / HOUR_SECONDS, violation_minutes=violations)
