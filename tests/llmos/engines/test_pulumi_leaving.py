"""What leaves a stack on the pulumi engine makes room, where the quota has none for it beside the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmos.engines import pulumi_leaving
from llmos.engines.base import EngineAction, EngineRun
from llmos.engines.pulumi_leaving import made_room

REFUSED = {"type": "ReplicaFailure", "status": "True", "message": 'pods "web-1" is forbidden: exceeded quota: stack'}


def action(kind: str, name: str, what: Any, *replaces: str) -> EngineAction:
    return EngineAction(type=kind, kind=kind, namespace="here", name=name, action=what, replaces=replaces)


LEAVES, STAYS = action("Deployment", "old", "delete"), action("Deployment", "web", "update")
QUOTA = action("ResourceQuota", "stack", "update")


class Cluster:
    """Two Deployments, and what is done to them."""

    def __init__(self, *conditions: dict[str, str]) -> None:
        self.done: list[str] = []
        self._live = [
            {"metadata": {"namespace": "here", "name": name}, "spec": {"replicas": 4},
             "status": {"conditions": list(conditions)}}
            for name in ("old", "web")
        ]  # fmt: skip

    def get(self, *_: str) -> list[dict[str, Any]]:
        return self._live

    def run(self, *words: str, **_: Any) -> None:
        self.done.append(" ".join(words))


@pytest.fixture
def run() -> EngineRun:
    return EngineRun(
        stack="dev", stack_file=Path("Pulumi.dev.yaml"), environment="dev", namespace="here", kubectl=Path("kubectl"),
        progress=lambda text: None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("actions", "conditions"), [([LEAVES, STAYS, QUOTA], []), ([LEAVES, STAYS], [REFUSED])],
    ids=["the quota is changed", "an earlier run has changed it"],
)  # fmt: skip
def test_its_pods_go_before_the_update_and_come_back_when_that_fails(
    actions: list[EngineAction], conditions: list[dict[str, str]], run: EngineRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(*conditions)
    monkeypatch.setattr(pulumi_leaving, "kube_of", lambda _: cluster)
    with made_room(run, actions):
        assert cluster.done[0] == "scale deployment old -n here --replicas=0"
        assert cluster.done[1].startswith("wait --for=delete pod -n here -l app.kubernetes.io/name=old,")
    assert len(cluster.done) == 2
    with pytest.raises(KeyboardInterrupt), made_room(run, actions):
        raise KeyboardInterrupt
    assert cluster.done[-1] == "scale deployment old -n here --replicas=4"


@pytest.mark.parametrize(
    "actions", [[STAYS, QUOTA], [LEAVES, STAYS], [action("Deployment", "old", "delete", "spec.selector"), QUOTA]],
    ids=["nothing leaves", "the quota stays", "it is replaced"],
)  # fmt: skip
def test_otherwise_nothing_is_touched(
    actions: list[EngineAction], run: EngineRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    monkeypatch.setattr(pulumi_leaving, "kube_of", lambda _: cluster)
    with made_room(run, actions):
        pass
    assert cluster.done == []
