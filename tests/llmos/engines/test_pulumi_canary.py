"""A canary on the pulumi engine, without one: what the first update is held to, and what is removed after a stop."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmos.canary.programs import with_canaries
from llmos.engines import pulumi_canary
from llmos.engines.base import EngineRun
from llmos.engines.canary import Canaries
from planner.faults import Fault, UserFault
from planner.machine import CANARIES
from planner.plan import make_plan
from planner.settings import parse
from tests.support import synthesised

IMAGE = {"ref": "docker.io/library/app@sha256:" + "1" * 64}
KEY = ("Deployment", "llmagentos-dev", "chat")


class Engine:
    """A session of the CLI whose stack notes what it is asked, and a cluster that says what differs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, code: str = "new", available: int = 3) -> None:
        built = {"image": {"build": "./app"}, "canary": {}, "model": "tiny"}
        raw = {"target": "local", "applications": {"chat": built, "other": {"image": IMAGE, "canary": {}}},
               "models": {"tiny": {"source": "builtin:tiny", "engine": "llama.cpp"}}}  # fmt: skip
        applications = make_plan(parse(raw, where="Pulumi.dev.yaml"), stack="dev").applications
        self.program = synthesised(raw, preview=True)
        with with_canaries(applications):
            self.beside = synthesised(raw, preview=True)
        self.canaries = Canaries(program=self.beside, applications=applications, stack_file="Pulumi.dev.yaml")
        self.said: list[str] = []
        self.run = EngineRun(
            stack="dev", stack_file=Path("Pulumi.dev.yaml"), environment="dev", namespace="llmagentos-dev",
            kubectl=Path(sys.executable), progress=self.said.append,
        )  # fmt: skip
        self.asked: list[tuple[str, list[str], str]] = []
        self.env: dict[str, str] = {}
        # The model server is new.
        self.state = {one.urn: one.type for one in self.program.resources if one.name != "tiny"}
        self.session: Any = SimpleNamespace(run=self.run, stack=SimpleNamespace(
            workspace=SimpleNamespace(env_vars=self.env), up=self._up, destroy=self._destroy,
        ))  # fmt: skip
        sides = tuple({"spec": {"template": text}} for text in ("old", code))
        live = {KEY: {"status": {"availableReplicas": available}}}
        monkeypatch.setattr(pulumi_canary, "differences", lambda *_: {KEY: sides})
        monkeypatch.setattr(pulumi_canary, "kube_of", lambda _: SimpleNamespace(live=lambda _: live))
        monkeypatch.setattr(pulumi_canary, "read_state", lambda _: {
            "deployment": {"resources": [{"urn": urn, "type": kind} for urn, kind in self.state.items()]}
        })  # fmt: skip
        monkeypatch.setattr(pulumi_canary, "refuse_bad", lambda *_: None)

    def _up(self, *, target: list[str], **_: Any) -> None:
        self.asked.append(("up", target, self.env.get(CANARIES, "")))
        self.state |= {one.urn: one.type for one in self.beside.resources if one.urn in target}

    def _destroy(self, *, target: list[str], **_: Any) -> None:
        self.asked.append(("destroy", target, self.env.get(CANARIES, "")))

    def try_out(self) -> None:
        pulumi_canary.try_out(self.session, self.program, self.canaries)


def names(urns: list[str]) -> set[str]:
    return {"::".join(urn.split("::")[2:]).rpartition("$")[2] for urn in urns}


def test_the_first_update_is_held_to_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    engine.try_out()
    [(what, targets, told)] = engine.asked
    assert what == "up" and told == "chat", "the program makes the canary of this application alone"
    assert CANARIES not in engine.env, "the update that follows makes none"
    found = names(targets)
    assert {"kubernetes:apps/v1:Deployment::chat-canary", "docker-build:index:Image::chat"} <= found
    assert "kubernetes:apps/v1:Deployment::tiny" in found, "what the new version needs"
    assert "kubernetes:apps/v1:Deployment::chat" not in found and not any("other" in one for one in found)
    assert any("LlmStack" in one for one in found)


def test_a_stop_removes_what_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    fault = Fault(what="stopped", where="here", fix="mend it")

    def refuse(*_: Any) -> None:
        raise UserFault(fault)

    monkeypatch.setattr(pulumi_canary, "refuse_bad", refuse)
    with pytest.raises(UserFault, match="stopped"):
        engine.try_out()
    what, targets, told = engine.asked[-1]
    assert (what, told) == ("destroy", "")
    assert {"kubernetes:apps/v1:Deployment::chat-canary", "kubernetes:apps/v1:Deployment::tiny"} <= names(targets)
    assert not {one for one in targets if "PersistentVolumeClaim" in one or "components:" in one.rpartition("$")[2]}


def test_no_canary_where_pods_stay_what_they_are_or_nothing_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    same = Engine(monkeypatch, code="old")
    same.try_out()
    assert same.asked == []
    down = Engine(monkeypatch, available=0)
    down.try_out()
    assert down.asked == [] and "of the old version nothing serves" in down.said[-1]
