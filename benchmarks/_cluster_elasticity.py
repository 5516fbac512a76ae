"""The autoscaler under load and in silence."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks._cluster_world import APPLICATION, ClusterWorld
from benchmarks._scenarios import Context, Registry

__all__ = ["ELASTICITY", "flaps"]

ELASTICITY = Registry()
_MOST = 4
_UP_SECONDS = 300.0
_HELD_SECONDS = 60.0
# Five quiet minutes, then a pod a minute: see components/autoscaler.py.
_DOWN_SECONDS = 900.0


@ELASTICITY.scenario("autoscaler", "load raises the replicas to the maximum, silence lowers them to the minimum")
def _autoscaler(context: Context) -> None:
    world: ClusterWorld = context.world
    before, counts = world.raw, []
    # A small share of a processor for each, so that 50 requests per second are a lot.
    replicas, resources = {"min": 1, "max": _MOST, "cpu_percent": 70}, {"cpu": "50m", "memory": "256Mi"}
    world.must_up(world.changed(replicas=replicas, resources=resources))
    started = time.monotonic()
    _follow(world, counts, until=lambda count: count == _MOST, seconds=_UP_SECONDS, what="load raises them")
    raised = time.monotonic()
    _follow(world, counts, until=lambda _: time.monotonic() > raised + _HELD_SECONDS, seconds=_UP_SECONDS, what="")
    seen = context.load.stop()
    silent = time.monotonic()
    _follow(world, counts, until=lambda count: count == 1, seconds=_DOWN_SECONDS, what="silence lowers them")
    lowered = time.monotonic()
    print(f"autoscaler: {_MOST} replicas after {raised - started:.0f} s of load, 1 after {lowered - silent:.0f} s "
          f"of silence; {seen.requests} requests; counts {_steps(counts)}")  # fmt: skip
    assert not flaps(counts), f"the count went up and down: {_steps(counts)}"
    world.must_up(before)


def _follow(
    world: ClusterWorld, counts: list[int], *, until: Callable[[int], bool], seconds: float, what: str
) -> None:
    """Note how many replicas are wanted, until the count is as it should be."""
    deadline = time.monotonic() + seconds
    while True:
        (deployment,) = world.kube.get("deployment", APPLICATION, "-n", world.namespace)
        counts.append(deployment["spec"]["replicas"])
        if until(counts[-1]):
            return
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s, but {_steps(counts)}"
        time.sleep(2)


def _steps(counts: list[int]) -> list[int]:
    """Without repetition of the same count."""
    return [count for place, count in enumerate(counts) if not place or count != counts[place - 1]]


def flaps(counts: list[int]) -> bool:
    """Whether a count rises again after it has fallen."""
    steps = _steps(counts)
    top = steps.index(max(steps))
    return steps[:top] != sorted(steps[:top]) or steps[top:] != sorted(steps[top:], reverse=True)
