"""Faults and updates under load: what happens, what may be lost by it, and how it is measured."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from benchmarks._load import Load
from benchmarks._replicas import wait_for

__all__ = ["Context", "Registry", "Row", "Scenario", "World", "run"]

_RECOVER_SECONDS = 300.0


class World(Protocol):
    """Where a scenario takes place: an application at a URL, and when it is as it should be."""

    url: str
    key: str

    def whole(self) -> bool:
        """Whether every wanted replica serves, and nothing is on its way out."""

    def restore(self) -> None:
        """After a scenario that failed halfway: back to what is to be."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a scenario is given.

    Attributes:
        world: where it takes place; each scenario knows which kind it needs.
        load: what runs meanwhile; ``load.killing()`` goes around a kill.
        random: for every choice, so that a seed repeats it.
        kills: how often a scenario kills whose moment is left to chance.
        given: what the scenario's ``around`` yields.
    """

    world: Any
    load: Load
    random: random.Random
    kills: int = 20
    given: Any = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One fault or update.

    Attributes:
        name: as ``--only`` takes it.
        about: what happens, in a sentence.
        act: makes it happen; raises AssertionError when something beside the requests is not as promised.
        spares: whether no request may be lost; else refusals are what the scenario is about, and are only counted.
        around: what must be there beforehand, made before the load begins and taken away after it.
    """

    name: str
    about: str
    act: Callable[[Context], None]
    spares: bool = True
    around: Callable[[Any], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one scenario has shown; ``problem`` is empty when it went as promised."""

    name: str
    requests: int
    streams: int
    lost: int
    lost_in_flight: int
    longest_stall_seconds: float
    longest_gap_seconds: float
    recover_seconds: float
    problems: dict[str, int]
    problem: str

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "passed": not self.problem}


class Registry(dict[str, Scenario]):
    """Scenarios by name, in the order in which they were declared."""

    def scenario(self, name: str, about: str, **more: Any) -> Callable[..., Callable[[Context], None]]:
        """Decorator of the function that makes it happen; ``more`` as in ``Scenario``."""

        def add(act: Callable[[Context], None]) -> Callable[[Context], None]:
            self[name] = Scenario(name=name, about=about, act=act, **more)
            return act

        return add


def run(
    scenarios: Iterable[Scenario], world: World, *, seed: int, per_second: float, streams: int,
    stream_tokens: int = 100, kills: int = Context.kills
) -> Iterable[Row]:
    """Each under a load of its own, begun and ended in a whole world. Time to recover is from the beginning of the
    fault or update until everything is as it should be again."""
    for scenario in scenarios:
        wait_for(world.whole, f"everything is in place before {scenario.name}", seconds=_RECOVER_SECONDS)
        # A generator of its own, so that one scenario alone does the same as among all.
        chance = random.Random(f"{seed} {scenario.name}")
        with scenario.around(world) as given:
            load = Load(
                url=world.url, key=world.key, per_second=per_second, streams=streams, stream_tokens=stream_tokens
            )
            context = Context(world=world, load=load, random=chance, kills=kills, given=given)
            yield _under_load(scenario, context)


def _under_load(scenario: Scenario, context: Context) -> Row:
    world, load = context.world, context.load
    with load:
        started, problem = time.monotonic(), ""
        try:
            scenario.act(context)
            wait_for(world.whole, "everything is in place again", seconds=_RECOVER_SECONDS)
        except (AssertionError, TimeoutError) as error:
            problem = str(error) or type(error).__name__
        recovered = time.monotonic()
        seen = load.stop()
    if problem:
        world.restore()
    if scenario.spares and seen.lost and not problem:
        problem = f"{seen.lost} requests were lost"
    return Row(
        name=scenario.name, requests=seen.requests, streams=seen.streams, lost=seen.lost,
        lost_in_flight=seen.lost_in_flight, longest_stall_seconds=round(seen.longest_stall_seconds, 3),
        longest_gap_seconds=round(seen.longest_gap_seconds, 3), recover_seconds=round(recovered - started, 2),
        problems=seen.problems, problem=problem,
    )  # fmt: skip
