"""The Pulumi engine, the real one: the quota of a stack from which something goes while the rest is exchanged."""

from __future__ import annotations

from tests.e2e.engine_stacks import NEEDED, EngineStack, application, engine_stack

__all__ = ["engine_stack"]

pytestmark = NEEDED

LARGE = {"cpu": "1", "memory": "3Gi"}


def test_what_goes_makes_room_for_the_exchange_of_what_stays(engine_stack: EngineStack) -> None:
    engine_stack.write({"web": application(), "large": application(replicas=3, resources=LARGE)})
    engine_stack.run("up")
    before = engine_stack.live("deployment", "web")
    engine_stack.write({"web": application(env={"LOG_LEVEL": "warning"})})
    said = engine_stack.run("up").stderr
    assert "Deployment large goes first: its pods count against the quota of what stays" in said
    web = engine_stack.live("deployment", "web")
    assert web["metadata"]["generation"] > before["metadata"]["generation"]
    assert web["status"]["updatedReplicas"] == web["status"]["availableReplicas"] == 2
    assert engine_stack.live("deployment", "large") is None
    # The quota has no room for both.
    hard = engine_stack.live("resourcequota", "stack")["status"]["hard"]
    assert int(hard["requests.memory"].removesuffix("Gi")) < 9
