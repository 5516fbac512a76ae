"""The embedded cluster as commands find it: what has ended is said, and who enforces network policies."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from llmos.cli import run
from llmos.cluster import embedded
from llmos.cluster.info import ClusterStatus
from llmos.cluster.processes import ProcessState
from llmos.cluster.reach import reach
from llmos.images import trial
from tests.llmos.fake_kubectl import FakeKubectl

NODES = {"real": True, "simulated-a": True}


@pytest.fixture
def cluster(tmp_path: Path) -> FakeKubectl:
    return FakeKubectl(tmp_path / "cluster")


def test_a_cluster_that_misses_a_program_is_used_with_a_warning(
    cluster: FakeKubectl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(*processes: ProcessState, answers: bool = True) -> None:
        status = ClusterStatus.of(NODES if answers else None, info=cluster.info, processes=processes)
        monkeypatch.setattr(embedded, "status", lambda **_: status)

    found(ProcessState(name="etcd", pid=1), ProcessState(name="kubelet", pid=2))
    assert reach(start=False, install=True) == cluster.info
    assert capsys.readouterr().err == ""
    found(ProcessState(name="etcd", pid=1), ProcessState(name="kubelet"))
    assert reach(start=False, install=True) == cluster.info
    said = "of cluster `fake` kubelet stopped; `python3 -m llmos cluster up` starts what is missing"
    assert said in capsys.readouterr().err
    found(ProcessState(name="etcd"), answers=False)
    assert reach(start=False, install=True) is None, "no API server, no cluster"


def test_to_start_it_is_to_bring_it_up(cluster: FakeKubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "up", lambda **words: cluster.info if words["install"] is False else None)
    assert reach(start=True, install=False) == cluster.info


@pytest.mark.parametrize("said", ["enforced on the real node", "not enforced on real: this kernel hands no packets"])
def test_status_says_what_the_cluster_says_of_its_policies(
    said: str, cluster: FakeKubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = dataclasses.replace(cluster.info, simulated=False, real_nodes=("real",), network_policies=said)
    monkeypatch.setattr("llmos.session.reach", lambda **_: info)
    monkeypatch.setattr(trial, "running", lambda stack: {})
    cluster.answer("deployments", [{"metadata": {"name": "web"}, "spec": {"replicas": 1}, "status": {}}])
    path = tmp_path / "Pulumi.t.yaml"
    raw = {"target": "local", "applications": {"web": {"image": {"ref": "example.com/web@sha256:" + "1" * 64}}}}
    path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": raw}}), encoding="utf-8")
    assert run(["status", "--file", str(path), "--engine", "kubectl"]) == 0
    assert f"Network policies: {said}\n" in capsys.readouterr().out
