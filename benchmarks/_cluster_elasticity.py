"""The autoscaler under load and in silence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from benchmarks._cluster_world import APPLICATION, ClusterWorld
from benchmarks._replicas import wait_for
from benchmarks._scenarios import Context, Registry

__all__ = ["ELASTICITY", "turns"]

ELASTICITY = Registry()
_MOST = 4
_UP_SECONDS = 240.0
_HELD_SECONDS = 45.0
_DOWN_SECONDS = 240.0
# An aim of a fiftieth of a processor for each, which 20 requests per second exceed; the limit, 800m, is far above it,
# so that one replica can serve them all until the others are there.
_REPLICAS = {"min": 1, "max": _MOST, "cpu_percent": 10}
_RESOURCES = {"cpu": "200m", "memory": "256Mi"}
# Five quiet minutes and a pod a minute (components/autoscaler.py), made short enough for a test.
_WINDOW_SECONDS, _STEP_SECONDS = 20, 15


@contextmanager
def _autoscaled(world: ClusterWorld) -> Iterator[None]:
    """The application with an autoscaler, at its minimum."""
    before = world.raw
    try:
        world.must_up(world.changed(replicas=_REPLICAS, resources=_RESOURCES))
        down = {
            "stabilizationWindowSeconds": _WINDOW_SECONDS,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": _STEP_SECONDS}],
        }
        patch = json.dumps({"spec": {"behavior": {"scaleDown": down}}})
        world.kube.run("patch", "hpa", APPLICATION, "-n", world.namespace, "--type=merge", "-p", patch)
        wait_for(lambda: _wanted(world) == 1, "the autoscaler starts at its minimum", seconds=_DOWN_SECONDS)
        wait_for(world.whole, "one replica serves", seconds=_UP_SECONDS)
        yield
    finally:
        world.must_up(before)


@ELASTICITY.scenario(
    "autoscaler", "load raises the replicas to the maximum, silence lowers them to the minimum", around=_autoscaled
)
def _autoscaler(context: Context) -> None:
    world: ClusterWorld = context.world
    counts: list[int] = []
    started = time.monotonic()
    _follow(world, counts, until=lambda count: count == _MOST, seconds=_UP_SECONDS, what="load raises them")
    raised = time.monotonic()
    wait_for(world.whole, "all of them serve", seconds=_UP_SECONDS)
    served = time.monotonic()
    _follow(world, counts, until=lambda _: time.monotonic() > served + _HELD_SECONDS, seconds=_UP_SECONDS, what="")
    seen = context.load.stop()
    silent = time.monotonic()
    _follow(world, counts, until=lambda count: count == 1, seconds=_DOWN_SECONDS, what="silence lowers them")
    lowered = time.monotonic()
    print(f"autoscaler: {_MOST} replicas wanted after {raised - started:.0f} s of load, serving after "
          f"{served - started:.0f} s; 1 after {lowered - silent:.0f} s of silence; counts {_steps(counts)}, "
          f"{turns(counts)} change of direction; {seen.requests} requests, {seen.lost} lost", flush=True)  # fmt: skip
    assert _steps(counts)[0] == 1, f"the load began above the minimum: {_steps(counts)}"
    assert turns(counts) == 1, f"the count went up and down: {_steps(counts)}"


def _wanted(world: ClusterWorld) -> int:
    (deployment,) = world.kube.get("deployment", APPLICATION, "-n", world.namespace)
    return deployment["spec"]["replicas"]


def _follow(
    world: ClusterWorld, counts: list[int], *, until: Callable[[int], bool], seconds: float, what: str
) -> None:
    """Note how many replicas are wanted, until the count is as it should be."""
    deadline = time.monotonic() + seconds
    while True:
        counts.append(_wanted(world))
        if until(counts[-1]):
            return
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s, but {_steps(counts)}"
        time.sleep(1)


def _steps(counts: list[int]) -> list[int]:
    """Without repetition of the same count."""
    return [count for place, count in enumerate(counts) if not place or count != counts[place - 1]]


def turns(counts: list[int]) -> int:
    """How often a count changes its direction: 1 for up and then down, more where it flaps."""
    ups = [later > earlier for earlier, later in pairwise(_steps(counts))]
    return sum(one != other for one, other in pairwise(ups))
