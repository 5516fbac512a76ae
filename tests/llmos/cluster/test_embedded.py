"""What needs no cluster to be tested; the rest is in tests/e2e/test_cluster.py."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml

from llmos.cluster import control_plane, embedded
from llmos.cluster.binaries import Binaries
from llmos.cluster.control_plane import Ports
from llmos.cluster.info import ClusterInfo, ClusterStatus
from llmos.cluster.networks import Network
from llmos.cluster.processes import ProcessState
from llmos.cluster.record import Record, cluster_folder
from planner.faults import EnvironmentFault, UserFault

BINARIES = Binaries(**{field.name: Path("/bin") / field.name for field in fields(Binaries)})


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "..", "-a", "a-", "x" * 41])
def test_a_name_that_is_no_label_is_refused(cache: Path, name: str) -> None:
    for command in (embedded.up, embedded.down, embedded.status):
        with pytest.raises(UserFault, match="is not a cluster name"):
            command(name=name)
    assert not (cache / "clusters").exists()


@pytest.mark.parametrize("command", [embedded.up, embedded.down, embedded.status])
def test_windows_is_refused_with_a_way_out(
    command: Callable[[], object], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_windows = functools.partial(embedded._require_supported, platform="win32")
    monkeypatch.setattr(embedded, "_require_supported", on_windows)
    with pytest.raises(EnvironmentFault, match=r"does not run on Windows[\s\S]*WSL 2"):
        command()


def test_nothing_there_is_nothing_to_take_down(cache: Path) -> None:
    assert embedded.down(name="none", progress=print) is False
    status = embedded.status(name="none")
    assert not status.exists and not status.running
    assert "not created" in str(status)


def test_a_record_survives_and_a_broken_one_counts_as_none(cache: Path) -> None:
    record = Record.new("one", binaries=BINARIES, progress=print)
    assert Record.read("one") == record and not record.complete
    assert cluster_folder("one").stat().st_mode & 0o077 == 0
    (cluster_folder("one") / "llmos.json").write_text('{"ports": {', encoding="utf-8")
    assert Record.read("one") is None


def test_ports_of_a_stopped_cluster_stay_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Record.new("one", binaries=BINARIES, progress=print)
    reserved: list[set[int]] = []

    def choose(count: int, *, reserved: set[int], seen: list[set[int]] = reserved) -> list[int]:
        seen.append(reserved)
        return list(range(count))

    monkeypatch.setattr("llmos.cluster.record.choose", choose)
    Record.new("two", binaries=BINARIES, progress=print)
    assert reserved == [set(asdict(first.ports).values())]


def test_the_control_plane_listens_on_loopback_and_knows_no_anonymous_user(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(control_plane, "run", lambda command, **_: calls.append([str(word) for word in command]))
    ports = Ports(**{field.name: 20_000 + number for number, field in enumerate(fields(Ports))})
    folder = cluster_folder("one")
    control_plane.create("one", folder=folder, binaries=BINARIES, ports=ports, network=Network(cidr="10.224.4.0/22"))

    config, *stages = yaml.safe_load_all((folder / "create.yaml").read_text(encoding="utf-8"))
    options = config["options"]
    assert options["bindAddress"] == "127.0.0.1"
    assert options["kubeApiserverPort"] == ports.kube_apiserver
    patches = {patch["name"]: patch["extraArgs"] for patch in config["componentsPatches"]}
    assert {"key": "anonymous-auth", "value": "false", "override": False} in patches["kube-apiserver"]
    assert {stage["kind"] for stage in stages} == {"Stage"}
    # An empty --kubeconfig keeps kwokctl away from the user's own.
    assert calls == [
        ["/bin/kwokctl", "--name", "one", "create", "cluster", "--kubeconfig", "", "--config", f"{folder}/create.yaml"]
    ]


def test_a_status_names_what_stopped() -> None:
    info = ClusterInfo(
        name="one", context="kwok-one", kubeconfig=Path("/k"), kubectl=Path("/kubectl"), api_url="https://127.0.0.1:1"
    )
    stopped = ClusterStatus.of(None, info=info, processes=(ProcessState(name="etcd"),))
    assert not stopped.running
    assert "incomplete" in str(stopped) and "etcd" in str(stopped) and "API server does not answer" in str(stopped)
    assert "1 of 2 Ready (simulated)" in str(ClusterStatus.of({"a": True, "b": False}, info=info))


def test_an_interrupted_creation_shows_as_incomplete(cache: Path) -> None:
    Record.new("one", binaries=BINARIES, progress=print)
    status = embedded.status(name="one")
    assert status.exists and not status.running and "incomplete" in str(status)


def test_a_port_taken_in_the_meantime_is_named(cache: Path) -> None:
    record = Record.new("one", binaries=BINARIES, progress=print)
    embedded._require_free("one", record, ["etcd", "kube-apiserver"])
    with socket.socket() as server:
        server.bind(("127.0.0.1", record.ports.etcd_peer))
        with pytest.raises(EnvironmentFault, match=f"port {record.ports.etcd_peer} of etcd is taken"):
            embedded._require_free("one", record, ["kube-apiserver", "etcd"])


def test_a_component_that_ended_is_quoted(cache: Path) -> None:
    logs = cluster_folder("one") / "logs"
    logs.mkdir(parents=True)
    (logs / "etcd.log").write_text("start\npanic: invalid database\n\tbackend.go:76\n", encoding="utf-8")
    assert "etcd ended:\n    panic: invalid database\n" in str(embedded._not_up("one", "no answer"))
