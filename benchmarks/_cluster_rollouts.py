"""Deployments that fail or are interrupted, under load: what served before goes on, and the way back is short."""

from __future__ import annotations

import random
import re
import time
from typing import Any

from benchmarks._cluster_stack import changed_image
from benchmarks._cluster_world import APPLICATION, MODEL, ClusterWorld, ended, said_line
from benchmarks._scenarios import Context, Registry
from llmos.images import registry

__all__ = ["ROLLOUTS", "fails_and_goes_back"]

ROLLOUTS = Registry()
_PATIENCE = ("--timeout-minutes", "0.7")


def fails_and_goes_back(world: ClusterWorld, raw: dict[str, Any], *, reason: str) -> None:
    """``up`` of ``raw`` ends with an error that says why, and ``up`` of what was there before restores it."""
    before = world.raw
    said = world.up(raw, *_PATIENCE)
    assert said.code == 2, f"up ended with {said.code}: {said.text[-2000:]}"
    assert re.search(reason, said.text) and "To fix:" in said.text, f"the reason is missing: {said.text[-2000:]}"
    assert "Traceback" not in said.text
    world.must_up(before)


@ROLLOUTS.scenario("bad-image", "a release that ends as it starts is rolled out, and the previous stack file goes back")
def _bad_image(context: Context) -> None:
    world: ClusterWorld = context.world
    fails_and_goes_back(world, world.changed(image={"ref": world.images["broken"]}), reason="this release is broken")


@ROLLOUTS.scenario("model-server-not-ready", "a new model server never becomes ready; the old ones go on")
def _model_not_ready(context: Context) -> None:
    world: ClusterWorld = context.world
    silent = {"containers": [{"name": "server", "command": ["sleep"], "args": ["3600"]}]}
    fails_and_goes_back(world, world.with_model(pod_overrides=silent), reason=rf"{MODEL}-\w+-\w+: \S")


@ROLLOUTS.scenario("registry-down", "the registry is away as an image is to be pulled; `up` says so, and goes on after")
def _registry_down(context: Context) -> None:
    world: ClusterWorld = context.world
    before = world.raw
    # No node has it yet, and the registry has.
    new = changed_image(world.folder, "new", "release.py", f'"""Release {time.time_ns()}."""\n')
    address = new.partition("/")[0]
    working = world.begin_up(world.changed(image={"ref": new}), *_PATIENCE)
    told = said_line(working, "deploying")
    registry.stop_registry()
    try:
        said = ended(working, before=told)
    finally:
        registry.ensure_registry(install=False)
    assert said.code == 2, f"up ended with {said.code}: {said.text[-2000:]}"
    assert re.search(r"ErrImagePull|ImagePullBackOff", said.text), said.text[-2000:]
    assert f"{address}: connect: connection refused" in said.text and "To fix:" in said.text, said.text[-2000:]
    world.must_up(world.changed(image={"ref": new}))
    world.must_up(before)


@ROLLOUTS.scenario("api-server-stopped", "the API server is killed while `up` works; the next `up` completes it")
def _api_server(context: Context) -> None:
    world: ClusterWorld = context.world
    wanted = _other_setting(world, context.random)
    process = world.component("kube-apiserver")
    working = world.begin_up(wanted)
    time.sleep(context.random.uniform(2, 5))
    process.kill()
    said = ended(working)
    assert said.code in (0, 2) and "Traceback" not in said.text, f"up ended with {said.code}: {said.text[-2000:]}"
    world.heal()
    world.must_up(wanted)


def _other_setting(world: ClusterWorld, chance: random.Random) -> dict[str, Any]:
    environment = world.raw["applications"][APPLICATION]["env"]
    return world.changed(env={**environment, "MAX_QUEUED": str(chance.randrange(65, 10_000))})
