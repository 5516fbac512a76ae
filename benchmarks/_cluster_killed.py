"""``up`` that is killed, whenever that may be: what it leaves is completed by the next one, and taken away whole."""

from __future__ import annotations

import time
from typing import Any

import psutil
import yaml

from benchmarks._cluster_world import APPLICATION, ClusterWorld
from benchmarks._replicas import wait_for
from benchmarks._scenarios import Context, Registry
from llmos.engines.shapes import comparable
from llmos.kube import KubeObject

__all__ = ["KILLED"]

KILLED = Registry()
_GROUP = 4
"""So many are killed in a row before one is left to come to its end."""
_WHOLE_SECONDS = 180
# They come and go with what runs, and nobody wishes them by name.
_NOT_WISHED = {
    "Endpoints", "EndpointSlice", "Event", "Pod", "ReplicaSet", "ControllerRevision", "PodMetrics", "NodeMetrics",
    "Lease", "IPAddress",
}  # fmt: skip

Objects = dict[tuple[str, str, str], str]


@KILLED.scenario("up-killed", "`up` is killed at random moments; the next comes to the same; `destroy` leaves nothing")
def _up_killed(context: Context) -> None:
    world, chance = context.world, context.random
    before, here = _objects(world, "--all-namespaces").keys(), world.namespace
    variants, wanted, longest = [world.raw, _larger(world, chance.randrange(65, 10_000))], {}, 0.0
    for kind in (1, 0):
        started = time.monotonic()
        world.must_up(variants[kind])
        longest = max(longest, time.monotonic() - started)
        wanted[kind] = _settled(world)
    for number in range(1, context.kills + 1):
        _kill(world, variants[chance.randrange(2)], after=chance.uniform(0.3, longest))
        if number % _GROUP == 0 or number == context.kills:
            kind = chance.randrange(2)
            world.must_up(variants[kind])
            _same(_settled(world), wanted[kind], f"after {number} kills")
    # From here on nobody is served.
    context.load.stop()
    said = world.destroy()
    assert said.code == 0, f"destroy ended with {said.code}: {said.text[-2000:]}"
    left = [key for key in _objects(world, "--all-namespaces") if key not in before or here in key]
    assert not left, f"destroy leaves {left}"
    assert not _at_work(world), f"destroy leaves at work {_at_work(world)}"
    world.must_up(variants[0])
    world.find_entry()


def _larger(world: ClusterWorld, queued: int) -> dict[str, Any]:
    """The stack with another setting, and with objects that are in one of the two variants only."""
    raw = world.changed(env={**world.raw["applications"][APPLICATION]["env"], "MAX_QUEUED": str(queued)})
    first = raw["applications"][APPLICATION]
    second = {
        "image": first["image"], "model": first["model"], "resources": {"cpu": "50m", "memory": "256Mi"},
        "replicas": {"min": 1, "max": 2, "cpu_percent": 90}, "endpoint": {"type": "ClusterIP"},
    }  # fmt: skip
    return {**raw, "applications": {**raw["applications"], "second": second}}


def _kill(world: ClusterWorld, raw: dict[str, Any], *, after: float) -> None:
    """Kill an ``up`` so long after its beginning; one that has ended by then is begun once more, and killed earlier."""
    while True:
        working = world.begin_up(raw)
        time.sleep(after)
        alive = working.poll() is None
        working.kill()
        working.wait()
        working.stdout.close()
        if alive:
            return
        after /= 2


def _settled(world: ClusterWorld) -> Objects:
    wait_for(world.whole, "everything is in place", seconds=_WHOLE_SECONDS)
    found = _objects(world, "-n", world.namespace)
    assert not world.kube.get("leases", "-n", world.namespace), "the lock of the stack is still held"
    return found


def _objects(world: ClusterWorld, *where: str) -> Objects:
    """Everything of every kind by kind, namespace and name, without what the server decides."""
    only = ["--namespaced=true"] if "-n" in where else []
    kinds = world.kube.run("api-resources", "--verbs=list,delete", "-o", "name", *only).stdout.split()
    found = {}
    for item in world.kube.get(",".join(kinds), *where):
        if item["kind"] not in _NOT_WISHED:
            key = (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
            found[key] = yaml.safe_dump(_wished(item))
    return found


def _wished(item: KubeObject) -> KubeObject:
    """The object without what is drawn anew when it is made again, keys and addresses (those of what is never taken
    away are the same all the time, or the clients would be refused), and without the commit that was deployed from."""
    kept = comparable(item)
    for name in ("deployment.kubernetes.io/revision", "llmagentos.dev/source"):
        kept["metadata"].get("annotations", {}).pop(name, None)
    if item["kind"] == "Secret":
        kept["data"] = sorted(item.get("data", {}))
    if item["kind"] == "Service":
        kept["spec"] = {key: value for key, value in item["spec"].items() if not key.startswith("clusterIP")}
    return kept


def _same(found: Objects, wanted: Objects, when: str) -> None:
    missing, more = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    other = sorted(key for key in found.keys() & wanted.keys() if found[key] != wanted[key])
    assert not (missing or more or other), f"{when}: missing {missing}, left over {more}, different {other}"


def _at_work(world: ClusterWorld) -> list[str]:
    """Command lines of what still works on the cluster for somebody who was killed."""
    running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [" ".join(words) for words in running if "kubectl" in "".join(words[:1]) and world.info.context in words]
