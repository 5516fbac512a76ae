"""Canaries under load: a bad version is stopped by what its own pods count, and what serves never changes."""

from __future__ import annotations

from typing import Any

from benchmarks._cluster_stack import changed_image
from benchmarks._cluster_world import APPLICATION, ClusterWorld, Said
from benchmarks._load import Load, Report
from benchmarks._scenarios import Context, Registry
from llmos.paths import PROJECT_ROOT

__all__ = ["CANARIES"]

CANARIES = Registry()
# Three pods and one: a quarter of the requests and streams of new connections within the time.
_CANARY = {"watch_seconds": 40, "min_requests": 15, "max_error_rate": 0.02, "max_ttft_ms": 700}
_STREAMED = "        pace = Pace(started)\n"
_ANSWERED = "        request = parse_chat(body)\n"
_FAILS = """\
        if time.monotonic_ns() % 5 == 0:
            raise ApiError(500, "broken", code="broken")
"""
_CHANGES = {
    "slow": (_STREAMED, f"{_STREAMED}        await asyncio.sleep(1.2)\n"),
    "failing": (_ANSWERED, f"{_FAILS}{_ANSWERED}"),
}


@CANARIES.scenario("canary-slow", "a version whose streams begin late is stopped; no request is lost")
def _slow(context: Context) -> None:
    said, seen = _is_stopped(context.world, "slow")
    assert seen.lost == 0, seen.problems
    assert "TTFT (95 of 100)" in said and "> 700 ms" in said, said[-2000:]


@CANARIES.scenario("canary-failing", "a version that fails a fifth of its requests is stopped", spares=False)
def _failing(context: Context) -> None:
    said, seen = _is_stopped(context.world, "failing")
    assert seen.problems.keys() == {"HTTP 500 broken"}, seen.problems
    assert "error rate" in said and "> 0.02" in said, said[-2000:]


@CANARIES.scenario("canary-good", "a good version is watched and then rolled out; no request is lost")
def _good(context: Context) -> None:
    world: ClusterWorld = context.world
    now = world.raw["applications"][APPLICATION]["image"]["ref"]
    other = world.images["second" if now == world.images["first"] else "first"]
    said, seen = _up(world, other)
    assert seen.lost == 0, seen.problems
    assert said.code == 0 and f"canary of {APPLICATION} is good" in said.text, said.text[-2000:]
    assert {pod["spec"]["containers"][0]["image"] for pod in _staying(world)} == {other}
    assert _names(world) == {APPLICATION}


def _up(world: ClusterWorld, image: str) -> tuple[Said, Report]:
    """``up`` under clients that connect anew for each request: connections that exist never reach new pods."""
    with Load(url=world.url, key=world.key, per_second=10, streams=4, stream_tokens=20, reconnect=True) as load:
        said = world.up(world.changed(image={"ref": image}, canary=_CANARY))
        return said, load.stop()


def _is_stopped(world: ClusterWorld, variant: str) -> tuple[str, Report]:
    """``up`` of a changed copy of the application ends with 1, and the pods are those from before."""
    before = {pod["metadata"]["uid"] for pod in _staying(world)}
    generation = _deployment(world)["metadata"]["generation"]
    said, seen = _up(world, _variant(world, variant))
    assert said.code == 1 and f"canary of `{APPLICATION}` stopped" in said.text, said.text[-2000:]
    assert "To fix:" in said.text and "Traceback" not in said.text
    assert {pod["metadata"]["uid"] for pod in _staying(world)} == before
    assert _deployment(world)["metadata"]["generation"] == generation
    assert _names(world) == {APPLICATION}
    return said.text, seen


def _variant(world: ClusterWorld, name: str) -> str:
    """The application with one line more, built."""
    text = (PROJECT_ROOT / "app" / "src" / "assistant" / "chat.py").read_text(encoding="utf-8")
    old, new = _CHANGES[name]
    assert old in text, "the place of the change has moved"
    return changed_image(world.folder, name, "chat.py", text.replace(old, new))


def _deployment(world: ClusterWorld) -> dict[str, Any]:
    (found,) = world.kube.get("deployment", APPLICATION, "-n", world.namespace)
    return found


def _names(world: ClusterWorld) -> set[str]:
    """Deployments of the application; its canary is labelled as one."""
    label = f"app.kubernetes.io/name={APPLICATION}"
    return {item["metadata"]["name"] for item in world.kube.get("deployments", "-n", world.namespace, "-l", label)}


def _staying(world: ClusterWorld) -> list[dict[str, Any]]:
    return [pod for pod in world.pods() if "deletionTimestamp" not in pod["metadata"]]
