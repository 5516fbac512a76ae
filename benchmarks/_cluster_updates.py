"""Changes that a user makes on purpose, under load: none may cost a request."""

from __future__ import annotations

import time

from benchmarks._cluster_world import APPLICATION, ClusterWorld
from benchmarks._scenarios import Context, Registry

__all__ = ["UPDATES"]

UPDATES = Registry()


def _images(world: ClusterWorld) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in world.pods() if "deletionTimestamp" not in pod["metadata"]}


@UPDATES.scenario("update-image", "all replicas are replaced by ones of another image")
def _image(context: Context) -> None:
    world: ClusterWorld = context.world
    now = world.raw["applications"][APPLICATION]["image"]["ref"]
    other = world.images["second" if now == world.images["first"] else "first"]
    world.must_up(world.changed(image={"ref": other}))
    assert _images(world) == {other}


@UPDATES.scenario("update-configuration", "all replicas are replaced by ones with another setting")
def _configuration(context: Context) -> None:
    world: ClusterWorld = context.world
    before = {pod["metadata"]["uid"] for pod in world.pods()}
    environment = world.raw["applications"][APPLICATION]["env"]
    world.must_up(world.changed(env={**environment, "MAX_QUEUED": str(context.random.randrange(65, 10_000))}))
    assert not before & {pod["metadata"]["uid"] for pod in world.pods() if "deletionTimestamp" not in pod["metadata"]}


@UPDATES.scenario("update-resources", "all replicas are replaced by ones with another share of the processors")
def _resources(context: Context) -> None:
    world: ClusterWorld = context.world
    millis = context.random.randrange(201, 240)
    world.must_up(world.changed(resources={"cpu": f"{millis}m", "memory": "256Mi"}))
    assert {pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] for pod in world.pods()
            if "deletionTimestamp" not in pod["metadata"]} == {f"{millis}m"}  # fmt: skip


@UPDATES.scenario("scale-down", "two of the replicas go, and come back")
def _scale(context: Context) -> None:
    world: ClusterWorld = context.world
    wanted = world.raw["applications"][APPLICATION]["replicas"]
    world.must_up(world.changed(replicas=wanted - 2))
    time.sleep(5)  # traffic without them
    world.must_up(world.changed(replicas=wanted))
