"""A canary by the real Pulumi engine: two updates, of which the second follows a good version only."""

from __future__ import annotations

from typing import Any

import pytest

from llmos.canary.figures import Figures
from llmos.canary.watch import Pods
from llmos.engines import canary, pulumi_canary
from planner.faults import EnvironmentFault, Fault
from tests.e2e.engine_stacks import NEEDED, EngineStack, application, engine_stack

__all__ = ["engine_stack"]

pytestmark = NEEDED

ENDPOINT = {"type": "ClusterIP"}
CANARY = {"watch_seconds": 5, "max_ttft_ms": 500}


def pod(stack: EngineStack) -> Any:
    deployment = stack.live("deployment", "web")
    assert deployment is not None
    return deployment["spec"]["template"]


def release(stack: EngineStack, name: str, *words: str, code: int = 0) -> str:
    web = application(canary=CANARY, replicas={"min": 2, "max": 4}, env={"RELEASE": name}, endpoint=ENDPOINT)
    # Outside dev, where workloads are protected and a canary must go all the same.
    stack.write({"web": web}, environment="staging")
    return stack.run("up", *words, code=code).stderr


def test_a_bad_version_is_gone_and_a_good_one_is_rolled_out(
    engine_stack: EngineStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, good = engine_stack, Figures(requests=240, ttft={0.1: 200, 1.0: 0})
    counted = {True: good, False: good}
    monkeypatch.setattr(Pods, "_figures", lambda pods, name: (
        counted[name in pods.canaries] if name in pods.first else Figures(ttft={0.1: 0, 1.0: 0})
    ))  # fmt: skip
    assert "canary of" not in release(stack, "1")
    before = pod(stack)

    counted[True] = Figures(requests=240, errors=29, ttft={0.1: 200, 1.0: 0})
    said = release(stack, "bad", code=1)
    assert "canary of `web` stopped: error rate 0.121 > 0.01 over 240 requests" in said
    assert pod(stack) == before
    gone(stack)

    with monkeypatch.context() as patched:
        patched.setattr(canary, "watch", fails)
        patched.setattr(pulumi_canary, "_remove", lambda *_: None)
        release(stack, "2", code=2)
    assert stack.live("deployment", "web-canary") and pod(stack) == before
    assert "canary of" not in release(stack, "1")
    gone(stack)

    counted[True] = good
    assert "canary of web is good" in release(stack, "good")
    assert {"name": "RELEASE", "value": "good"} in pod(stack)["spec"]["containers"][0]["env"]
    gone(stack)
    assert "nothing changed" in release(stack, "good")


def fails(_: list[Pods]) -> None:
    raise EnvironmentFault(Fault(what="killed", where="here", fix="nothing"))


def gone(stack: EngineStack) -> None:
    assert stack.live("deployment", "web-canary") is None
    assert stack.live("networkpolicy", "web-canary-egress") is None
