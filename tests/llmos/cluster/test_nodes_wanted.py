"""How many real nodes a cluster gets, what is said where it gets none, and whether policies are enforced on them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from llmos.cli import run
from llmos.cluster import real_node
from llmos.cluster.binaries import Binaries
from llmos.cluster.info import ClusterInfo, ClusterStatus
from llmos.cluster.node import able, group, links
from llmos.cluster.node.layout import NODE_NAMES, Layout, layouts
from llmos.cluster.processes import ProcessState
from llmos.cluster.record import Record, cluster_folder
from llmos.commands import doctor
from llmos.failures import reported
from planner.faults import EnvironmentFault, Fault

BINARIES = Binaries(**{each.name: Path("/bin") / each.name for each in fields(Binaries)})


@pytest.fixture
def record(cache: Path) -> Record:
    return Record.new("one", binaries=BINARIES, progress=print)


def command_line(*words: str) -> int:
    with reported(debug=False) as outcome:
        outcome.exit_code = run(words)
    return outcome.exit_code


@pytest.mark.parametrize(("words", "said", "fix"), [
    (["--real-nodes", "7"], "a cluster has from 0 to 4 real nodes, not 7", "--real-nodes 4"),
    (["--real-nodes=-1"], "a cluster has from 0 to 4 real nodes, not -1", "--real-nodes 0"),
    (["--no-real-node", "--real-nodes", "2"], "`--no-real-node` and `--real-nodes 2` contradict", "leave one"),
    (["--kind", "--real-nodes", "2"], "the nodes of a kind cluster are containers", "leave --real-node and"),
    (["--real-node", "--real-nodes", "0"], "`--real-node` and `--real-nodes 0` contradict", "leave one"),
])  # fmt: skip
def test_a_number_that_cannot_be_is_refused_before_anything_is_made(
    cache: Path, words: list[str], said: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line("cluster", "up", *words) == 1
    error = capsys.readouterr().err
    assert said in error and f"To fix: {fix}" in error and error.count("error:") == 1
    assert not (cache / "clusters").exists()


def test_what_makes_sense_is_let_through() -> None:
    for real, count in ((None, None), (True, None), (False, None), (None, 4), (True, 2), (False, 0)):
        real_node.require_sense(real, count)


@dataclass
class Nodes:
    """In place of the nodes: what was asked of them."""

    can: bool = True
    calls: list[object] = field(default_factory=list)

    def ensure(self, count: int, *, asked: bool, install: bool, progress: Any) -> bool:
        self.calls.append((count, asked))
        return self.can

    def leave(self, *, beyond: int = 0, progress: Any) -> None:
        self.calls.append(beyond)


@pytest.mark.parametrize(("had", "real", "count", "calls", "has"), [
    (None, None, None, [1, (1, False)], 1),
    (None, True, None, [1, (1, True)], 1),
    (2, None, None, [2, (2, True)], 2),
    (2, True, None, [2, (2, True)], 2),
    (0, True, None, [1, (1, True)], 1),
    (0, None, None, [0], 0),
    (3, None, 1, [1, (1, True)], 1),
    (1, None, 2, [2, (2, True)], 2),
    (2, False, None, [0], 0),
    (2, None, 0, [0], 0),
])  # fmt: skip
def test_how_many_there_are_afterwards(
    record: Record, monkeypatch: pytest.MonkeyPatch, had: int | None, real: bool | None, count: int | None,
    calls: list[object], has: int,
) -> None:  # fmt: skip
    nodes = Nodes()
    monkeypatch.setattr(real_node, "RealNodes", lambda *_, **__: nodes)
    record = Record(**{**vars(record), "real_nodes": had})
    settled = real_node.settle("one", record, real=real, count=count, install=True, progress=print)
    assert nodes.calls == calls and settled.real_nodes == has
    assert had == has or Record.read("one") == settled, "remembered"


def refuse(layout: Layout) -> None:
    raise EnvironmentFault(Fault(what="a real node needs root", where="here", fix="run it as root"))


def test_where_none_can_be_had_a_line_says_so_unless_it_was_asked_for(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "readiness", lambda **_: {})
    monkeypatch.setattr(able, "require", refuse)
    said: list[str] = []
    settled = real_node.settle("one", record, real=None, count=None, install=True, progress=said.append)
    assert settled.real_nodes == 0
    assert said == [
        "no real node, so nothing runs in pods: a real node needs root\n"
        "  `python3 -m llmos cluster up --real-node` tries again"
    ]
    for real, count in ((True, None), (None, 2)):
        with pytest.raises(EnvironmentFault, match="a real node needs root"):
            real_node.settle("one", record, real=real, count=count, install=True, progress=said.append)
    assert len(said) == 1


def begin(record: Record, count: int, *, running: bool, monkeypatch: pytest.MonkeyPatch) -> list[Layout]:
    """Nodes of which there are folders only, and processes that run or not as it is said."""
    made = layouts(cluster_folder("one"), record.network)[:count]
    for layout in made:
        layout.folder.mkdir()

    def states(folder: Path, *, components: Sequence[str]) -> tuple[ProcessState, ...]:
        return tuple(ProcessState(name=name, pid=1 if running else None) for name in components)

    monkeypatch.setattr(group, "states", states)
    return made


def test_a_kernel_that_asks_nobody_gives_a_node_without_enforcement(
    record: Record, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = begin(record, 2, running=True, monkeypatch=monkeypatch)
    assert "kube-network-policies" in first.components and "kube-network-policies-2" in second.components
    assert real_node.enforcement("one") == "enforced on the real nodes"
    calls: list[list[str]] = []

    def iptables(command: Sequence[str], *, check: bool = True, **_: object) -> subprocess.CompletedProcess[str]:
        calls.append([str(word) for word in command])
        if "NFQUEUE" in command and check:
            raise EnvironmentFault(Fault(what="No chain/target/match by that name", where="iptables", fix="-"))
        return subprocess.CompletedProcess([], int("-C" in command), "", "")

    monkeypatch.setattr(links, "run", iptables)
    links._hand_to_enforcer(second)
    assert calls[-1][-4:] == ["-t", "mangle", "-F", "POSTROUTING"], "what would drop every packet is not left behind"
    assert "not enforced on node real-2, whose kernel lacks NFQUEUE: No chain" in capsys.readouterr().err
    assert "kube-network-policies-2" not in second.components and "kubelet-2" in second.components
    assert real_node.enforcement("one").startswith("not enforced on real-2: ")

    monkeypatch.setattr(links, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "", ""))
    links._hand_to_enforcer(second)
    assert second.enforces_policies, "with a kernel that has it, after a restart"


def test_an_enforcer_that_ended_is_said_with_what_follows(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(record, 1, running=False, monkeypatch=monkeypatch)
    said = real_node.enforcement("one")
    assert said.startswith("kube-network-policies is stopped, so pods of its node get no new connections")
    assert "cluster up" in said


def test_doctor_names_the_nodes_and_what_of_them_has_ended(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOS_CLUSTER", "one")
    monkeypatch.setattr(able, "missing_packages", list)
    monkeypatch.setattr(able, "require", lambda layout: None)
    assert doctor._real_node() == "possible: pods without GPUs really run"
    monkeypatch.setattr(able, "missing_packages", lambda: ["runc"])
    assert doctor._real_node() == "possible; `up` installs runc"
    monkeypatch.setattr(able, "require", refuse)
    assert doctor._real_node() == "not here, so nodes are simulated: a real node needs root"
    begin(record, 2, running=True, monkeypatch=monkeypatch)
    assert doctor._real_node() == "real, real-2: all programs run; network policies enforced on the real nodes"
    monkeypatch.setattr(group, "states", lambda folder, *, components: tuple(
        ProcessState(name=name, pid=None if name == "kubelet-2" else 1) for name in components
    ))  # fmt: skip
    mend = "`python3 -m llmos cluster up` starts what is missing"
    assert doctor._real_node() == f"real, real-2: kubelet-2 stopped; {mend}"


def test_a_status_names_nodes_and_what_stopped() -> None:
    info = ClusterInfo(
        name="one", context="c", kubeconfig=Path("/k"), kubectl=Path("/kubectl"), api_url="https://127.0.0.1:1",
        simulated=False, real_nodes=NODE_NAMES[:2],
    )  # fmt: skip
    processes = (ProcessState(name="kubelet", pid=1), ProcessState(name="kubelet-2"))
    status = ClusterStatus.of({"real": True, "real-2": False, "simulated-a": True}, info=info, processes=processes)
    assert not status.running and "incomplete (kubelet-2 stopped); `python3 -m llmos cluster up`" in str(status)
    assert "2 of 3 Ready (2 real, the others simulated)" in str(status)
    assert "real Ready, real-2 not Ready" in str(status)
