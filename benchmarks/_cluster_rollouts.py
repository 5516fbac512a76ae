"""Deployments that fail or are interrupted, under load: what served before goes on, and the way back is short."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import yaml

from benchmarks._cluster_world import APPLICATION, MODEL, ClusterWorld, ended
from benchmarks._replicas import wait_for
from benchmarks._scenarios import Context, Registry
from llmos.engines.shapes import comparable
from llmos.images import registry

__all__ = ["ROLLOUTS"]

ROLLOUTS = Registry()
_KILLS = 20
_PATIENCE = ("--timeout-minutes", "0.7")


def _fails_and_goes_back(world: ClusterWorld, raw: dict[str, Any], *, reason: str) -> None:
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
    _fails_and_goes_back(world, world.changed(image={"ref": world.images["broken"]}), reason="this release is broken")


@ROLLOUTS.scenario("model-server-not-ready", "a new model server never becomes ready; the old ones go on")
def _model_not_ready(context: Context) -> None:
    world: ClusterWorld = context.world
    silent = {"containers": [{"name": "server", "command": ["sleep"], "args": ["3600"]}]}
    _fails_and_goes_back(world, world.with_model(pod_overrides=silent), reason=rf"{MODEL}-\w+-\w+: \S")


@ROLLOUTS.scenario("registry-down", "the registry is away as an image is to be pulled; `up` says so, and goes on after")
def _registry_down(context: Context) -> None:
    world: ClusterWorld = context.world
    before = world.raw
    missing = world.images["first"].partition("@")[0] + "@sha256:" + "0" * 64
    registry.stop_registry()
    try:
        said = world.up(world.changed(image={"ref": missing}), *_PATIENCE)
    finally:
        registry.ensure_registry(install=False)
    assert said.code == 2, f"up ended with {said.code}: {said.text[-2000:]}"
    assert re.search(r"ErrImagePull|ImagePullBackOff|pull|registry", said.text), said.text[-2000:]
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


@ROLLOUTS.scenario("up-killed", f"`up` is killed at {_KILLS} random moments, and the next one always comes to the same")
def _up_killed(context: Context) -> None:
    world: ClusterWorld = context.world
    started = time.monotonic()
    world.must_up(_other_setting(world, context.random))
    longest = time.monotonic() - started
    wanted = _objects(world)
    variants = [world.raw, _other_setting(world, context.random)]
    for number in range(_KILLS):
        working = world.begin_up(variants[(number + 1) % 2])
        time.sleep(context.random.uniform(0.3, longest))
        working.kill()
        working.communicate()
        if number % 4 == 3:  # and several killed ones in a row
            world.must_up(variants[0])
            wait_for(world.whole, "everything is in place", seconds=120)
            assert _objects(world) == wanted, f"other objects after {number + 1} kills"


def _other_setting(world: ClusterWorld, chance: random.Random) -> dict[str, Any]:
    environment = world.raw["applications"][APPLICATION]["env"]
    return world.changed(env={**environment, "MAX_QUEUED": str(chance.randrange(65, 10_000))})


_KINDS = (
    "deployments,services,networkpolicies,secrets,serviceaccounts,poddisruptionbudgets,configmaps,resourcequotas,"
    "limitranges,leases,horizontalpodautoscalers"
)


def _objects(world: ClusterWorld) -> dict[str, str]:
    """Everything in the namespace without what the server decides and how often a Deployment was changed."""
    found = {}
    for item in world.kube.get(_KINDS, "-n", world.namespace):
        kept = comparable(item)
        kept["metadata"].get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
        found[f"{item['kind']}/{item['metadata']['name']}"] = yaml.safe_dump(kept)
    return found
