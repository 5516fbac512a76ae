"""Watching the pods of a canary: which are asked, how often, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from llmos.canary.figures import Figures
from llmos.canary.watch import Pods, watch
from llmos.kube import Kube
from planner.plan import TRACK, ApplicationPlan, make_plan
from planner.settings import parse
from tests.support import stack_file


def application(**canary: Any) -> ApplicationPlan:
    raw = stack_file("dev")
    raw["applications"] = {"assistant": {"image": {"build": "./app"}, "canary": {"min_requests": 10, **canary}}}
    raw["models"] = {}
    return make_plan(parse(raw, where="Pulumi.dev.yaml"), stack="dev").applications[0]


def pod(name: str, *, canary: bool, **more: Any) -> dict[str, Any]:
    labels = {TRACK[0]: TRACK[1]} if canary else {}
    return {"metadata": {"name": name, "labels": labels, **more.pop("metadata", {})}, **more}


class Watched(Pods):
    """Pods of a test, of which each reading finds the next counts; time passes as it is slept through."""

    def __init__(self, readings: list[Figures | None], *, pods: list[dict[str, Any]], **canary: Any) -> None:
        super().__init__(kube=Kube(), namespace="assistant", stack="dev", application=application(**canary))
        self.readings, self.pods, self.now, self.asked = readings, pods, 0.0, []

    def _running(self) -> list[dict[str, Any]]:
        return self.pods

    def _figures(self, pod: str) -> Figures | None:
        self.asked.append(pod)
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

    def sleep(self, seconds: float) -> None:
        assert seconds <= 5
        self.now += seconds

    def run(self) -> Any:
        return watch([self], clock=lambda: self.now, sleep=self.sleep)[0]


OLD, NEW = pod("assistant-1", canary=False), pod("assistant-canary-1", canary=True)


def test_the_new_pods_alone_are_judged_by_what_they_count_from_then_on() -> None:
    # Another watch, which was killed, has seen the errors that the pod begins with.
    watched = Watched([Figures(requests=50, errors=50), Figures(requests=90, errors=50)], pods=[OLD, NEW])
    found = watched.run()
    assert found.says == "go" and "over 40 requests" in found.why
    assert set(watched.asked) == {"assistant-canary-1"} and watched.now == 120
    assert len(watched.asked) == 1 + 120 // 5


def test_it_ends_as_soon_as_a_limit_is_exceeded() -> None:
    watched = Watched([Figures(), Figures(requests=20), Figures(requests=40, errors=4)], pods=[OLD, NEW])
    assert watched.run().says == "stop" and watched.now == 10


def test_a_container_that_was_started_again_ends_it() -> None:
    status = {"restartCount": 1, "lastState": {"terminated": {"reason": "OOMKilled"}}}
    broken = pod("assistant-canary-1", canary=True, status={"containerStatuses": [status]})
    found = Watched([Figures()], pods=[broken]).run()
    assert (found.says, found.why) == ("stop", "assistant-canary-1 was started again (OOMKilled)")


def test_pods_that_cannot_be_asked_have_counted_nothing() -> None:
    found = Watched([None], pods=[NEW], watch_seconds=12).run()
    assert found.says == "stop" and found.few and "0 requests in 12 s" in found.why


def test_a_pod_that_is_gone_keeps_what_it_counted() -> None:
    watched = Watched([Figures(), Figures(requests=30)], pods=[NEW])
    watched.read(canary=True)
    watched.read(canary=True)
    watched.pods = []
    watched.read(canary=True)
    assert watched.seen(canary=True).requests == 30 and watched.seen(canary=False) == Figures()


@pytest.mark.parametrize("canary", [True, False])
def test_each_side_is_asked_alone(canary: bool) -> None:
    watched = Watched([Figures()], pods=[OLD, NEW])
    watched.read(canary=canary)
    assert watched.asked == [(NEW if canary else OLD)["metadata"]["name"]]


def test_several_are_watched_together_until_one_is_stopped() -> None:
    good = Watched([Figures(), Figures(requests=30)], pods=[NEW], watch_seconds=12)
    later = Watched([Figures(), Figures(requests=30)], pods=[NEW], watch_seconds=20)
    found = watch([good, later], clock=lambda: good.now, sleep=good.sleep)
    assert [one.says for one in found] == ["go", "go"] and good.now == 20
    bad = Watched([Figures(), Figures(), Figures(requests=30, errors=30)], pods=[NEW], watch_seconds=60)
    good = Watched([Figures(), Figures(requests=30)], pods=[NEW], watch_seconds=60)
    found = watch([good, bad], clock=lambda: good.now, sleep=good.sleep)
    assert [one.says for one in found] == ["watch", "stop"] and good.now == 10
