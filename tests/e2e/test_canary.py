"""Canaries on a real API server: a good version follows, a bad one leaves nothing, and what served is not touched."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from llmos.canary.figures import Figures
from llmos.canary.watch import Pods
from llmos.commands import preview, up
from llmos.engines import canary
from llmos.engines.shapes import comparable
from llmos.kube import Kube
from planner.faults import EnvironmentFault, Fault
from tests.e2e.conftest import Llmos, Said, Write

pytestmark = pytest.mark.cluster

CANARY = {"watch_seconds": 5, "min_requests": 100, "max_ttft_ms": 500}


class Stack:
    """A stack of one application, whose pods count what a test says."""

    def __init__(self, llmos: Llmos, write: Write, raw: dict[str, Any], kube: Kube) -> None:
        self._llmos, self._write, self.raw, self.kube = llmos, write, raw, kube
        self.counted = {True: Figures(), False: Figures(requests=900, errors=1)}
        self.path = write(raw)

    @property
    def namespace(self) -> str:
        return f"llmagentos-{self.path.name.split('.')[1]}"

    def up(self, *words: str, **application: Any) -> Said:
        return self._command("up", *words, **application)

    def preview(self, *words: str, **application: Any) -> Said:
        return self._command("preview", *words, **application)

    def _command(self, command: str, *words: str, **application: Any) -> Said:
        self.raw["applications"]["web"] |= application
        self._write(self.raw)
        return self._llmos(command, "--engine", "kubectl", "--file", str(self.path), *words)

    def deployments(self) -> dict[str, dict[str, Any]]:
        return {item["metadata"]["name"]: item for item in self.kube.get("deployments", "-n", self.namespace)}

    def objects(self) -> set[str]:
        kinds = "deployments,networkpolicies,serviceaccounts,services,poddisruptionbudgets,replicasets,secrets"
        return {f"{item['kind']}/{item['metadata']['name']}" for item in self.kube.get(kinds, "-n", self.namespace)}

    def answer(self, pods: Pods, name: str) -> Figures:
        """Nothing at the first question, and then everything."""
        known = self.counted[name in pods.canaries]
        return known if name in pods.first else Figures(ttft=dict.fromkeys(known.ttft, 0))


@pytest.fixture
def deployed(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> Stack:
    """The first version, which no canary precedes, on nodes that pass for real ones."""
    opened = up.open_session
    for command in (up, preview):
        monkeypatch.setattr(
            command, "open_session", lambda *given, **more: dataclasses.replace(opened(*given, **more), simulated=False)
        )
    del small["models"], small["applications"]["web"]["model"]
    small["applications"]["web"] |= {"canary": CANARY, "replicas": 4}
    made = Stack(llmos, stack, small, kube)
    monkeypatch.setattr(Pods, "_figures", lambda pods, name: made.answer(pods, name))
    said = made.up()
    assert said.returncode == 0, said.stderr
    assert "canary of" not in said.stderr
    return made


def test_a_good_version_is_rolled_out_and_a_bad_one_is_gone(
    deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = deployed.deployments()["web"]
    during: list[dict[str, dict[str, Any]]] = []
    watched: Callable[[list[Pods]], Any] = canary.watch
    monkeypatch.setattr(canary, "watch", lambda all_pods: during.append(deployed.deployments()) or watched(all_pods))

    deployed.counted[True] = Figures(requests=240, errors=29, ttft={0.1: 200, 1.0: 0})
    said = deployed.up(env={"RELEASE": "bad"})
    assert said.returncode == 1, said.stderr
    assert "canary of `web` stopped: error rate 0.121 > 0.01 over 240 requests" in said.stderr
    assert "the version that serves: error rate 0.00111 over 3600 requests, and goes on" in said.stderr
    assert "To fix: mend the new version" in said.stderr
    assert during[0]["web-canary"]["spec"]["replicas"] == 1
    assert during[0]["web"] == before, "untouched meanwhile, its status included"
    assert deployed.deployments() == {"web": before}
    assert "canary" not in str(deployed.objects())

    deployed.counted[True] = Figures(requests=240, ttft={0.1: 100, 1.0: 100})
    said = deployed.up(env={"RELEASE": "slow"})
    assert said.returncode == 1 and "TTFT (95 of 100) 910 ms > 500 ms over 200 streams" in said.stderr
    assert deployed.deployments() == {"web": before}

    deployed.counted[True] = Figures(requests=240, ttft={0.1: 200, 1.0: 0})
    said = deployed.up(env={"RELEASE": "good"})
    assert said.returncode == 0, said.stderr
    assert "canary of web is good: error rate 0, TTFT (95 of 100) 95 ms" in said.stderr
    env = deployed.deployments()["web"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "RELEASE", "value": "good"} in env
    assert deployed.deployments().keys() == {"web"} and "canary" not in str(deployed.objects())
    assert during[2].keys() == {"web", "web-canary"}


def test_a_preview_says_that_a_change_is_tried_first(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Canary of" not in deployed.preview().stdout, "nothing changes"
    announced = "Canary of web, where its pods change: 1 of the new version beside the others, watched for 5 s"
    assert announced in " ".join(deployed.preview(env={"RELEASE": "2"}).stdout.split())
    document = json.loads(deployed.preview("--json").stdout)
    assert document["canaries"] == [{"application": "web", "pods": 1, "watch_seconds": 5}]
    monkeypatch.undo()
    assert json.loads(deployed.preview("--json").stdout)["canaries"] == [], "simulated pods answer nothing"


def test_what_needs_no_canary_has_none(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "watch", lambda _: pytest.fail("nothing is to be watched"))
    assert deployed.up(replicas=3).returncode == 0, "the pods stay what they are"
    said = deployed.up("--no-canary", env={"RELEASE": "2"})
    assert said.returncode == 0 and "canary of" not in said.stderr
    assert deployed.up(canary=None, env={"RELEASE": "3"}).returncode == 0


def test_a_killed_run_leaves_what_the_next_one_removes(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = {key: comparable(item) for key, item in deployed.deployments().items()}

    def killed(_: list[Pods]) -> None:
        raise EnvironmentFault(Fault(what="killed", where="here", fix="nothing"))

    with monkeypatch.context() as patched:
        patched.setattr(canary, "watch", killed)
        patched.setattr(canary, "delete_objects", lambda *_: None)
        assert deployed.up(env={"RELEASE": "2"}).returncode == 2
    assert "web-canary" in deployed.deployments()
    assert {"Deployment/web-canary", "NetworkPolicy/web-canary-egress"} <= deployed.objects()
    said = deployed.up(env={})
    assert said.returncode == 0, said.stderr
    assert {key: comparable(item) for key, item in deployed.deployments().items()} == objects
    assert "canary" not in str(deployed.objects())


def test_a_version_that_does_not_start_is_no_canary_for_long(deployed: Stack) -> None:
    before = deployed.deployments()["web"]
    missing = {"nodeSelector": {"nowhere": "to-be-found"}}
    said = deployed.up("--timeout-minutes", "0.05", pod_overrides=missing)
    assert said.returncode == 2 and "web-canary" in said.stderr and "Unschedulable" in said.stderr
    assert deployed.deployments() == {"web": before}
