"""Scenarios that need no cluster: replicas are processes on loopback."""

from __future__ import annotations

import time

from benchmarks._replicas import Processes
from benchmarks._scenarios import Context, Registry

__all__ = ["PROCESSES"]

PROCESSES = Registry()


@PROCESSES.scenario("replica-killed", "a replica gets SIGKILL and is replaced")
def _killed(context: Context) -> None:
    world: Processes = context.world
    with context.load.killing():
        victim = world.kill(context.random.randrange(world.wanted))
    world.replace(victim)


@PROCESSES.scenario("update-settings", "all replicas are replaced by ones with other settings, one after the other")
def _updated(context: Context) -> None:
    before = set(context.world.replicas())
    context.world.roll(MAX_QUEUED=str(context.random.randrange(64, 1000)))
    assert not before & set(context.world.replicas()), "an old replica is still there"


@PROCESSES.scenario("scale-down", "two of the replicas go, and come back")
def _scaled(context: Context) -> None:
    wanted = context.world.wanted
    context.world.scale(wanted - 2)
    time.sleep(2)  # traffic without them
    context.world.scale(wanted)
