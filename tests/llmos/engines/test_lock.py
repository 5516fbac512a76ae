"""The lock of a stack: one holder at a time, a dead one loses it, and who loses it stops."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmos.daemons import wait_until
from llmos.engines import held as held_module
from llmos.engines.holder import RUN_VARIABLE, Holder, machine_identity, processes_of_run, this_process
from llmos.engines.lock import Held, Timing, hold, holder_of, refuse_if_held, unlock
from llmos.kube import Kube
from planner.faults import EnvironmentFault
from tests.llmos.engines.lease_server import LeaseKube, LeaseServer

FAST = Timing(duration_seconds=0.4, renew_seconds=0.1)
PATIENCE_SECONDS = 20
NAME = "llmagentos-dev"


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


@pytest.fixture
def kube(server: LeaseServer) -> LeaseKube:
    return LeaseKube(server=server)


@contextmanager
def holding(kube: Kube, *, timing: Timing | None = None, said: list[str] | None = None) -> Iterator[Held]:
    with hold(
        kube, stack="dev", namespace="assistant", command="up --stack dev",
        progress=(said if said is not None else []).append, timing=timing or Timing(),
    ) as held:
        yield held


def foreign(**changes: object) -> Holder:
    """A holder on another machine that renewed its lock just now."""
    me = this_process(command="up --stack dev", duration_seconds=60)
    return dataclasses.replace(me, user="anna", host="laptop", pid=1234, machine="elsewhere", **changes)


def put(server: LeaseServer, holder: Holder) -> None:
    metadata = {"name": NAME, "namespace": "assistant", "annotations": holder.annotations()}
    server.store({"metadata": metadata, "spec": holder.spec()}, uid="u")


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_it_is_there_while_the_block_runs_and_gone_after(kube: LeaseKube, server: LeaseServer) -> None:
    with holding(kube):
        spec = server.leases[NAME]["spec"]
        assert re.fullmatch(rf".+@{re.escape(socket.gethostname())}/{os.getpid()}/[0-9a-f]+", spec["holderIdentity"])
        assert spec["leaseDurationSeconds"] == 60 and spec["acquireTime"] <= spec["renewTime"]
        holder = holder_of(kube, stack="dev", namespace="assistant")
        assert holder and holder.lives_here and holder.command == "up --stack dev" and holder.pid == os.getpid()
    assert not server.leases
    assert holder_of(kube, stack="dev", namespace="assistant") is None


def test_an_error_inside_gives_it_back(kube: LeaseKube, server: LeaseServer) -> None:
    with pytest.raises(ZeroDivisionError), holding(kube):
        raise ZeroDivisionError
    assert not server.leases


def test_a_second_run_is_told_who_when_what_and_how_to_break_it(kube: LeaseKube, server: LeaseServer) -> None:
    put(server, foreign(since=datetime(2026, 11, 25, 10, 0, 5, tzinfo=UTC)))
    early = lambda: refuse_if_held(kube, stack="dev", namespace="assistant")  # noqa: E731
    for refuse in (early, lambda: holding(kube).__enter__()):
        with pytest.raises(EnvironmentFault) as error:
            refuse()
        said = str(error.value)
        assert "anna@laptop (process 1234) since 2026-11-25 10:00:05 UTC, `up --stack dev`" in said
        assert "python3 -m llmos unlock --stack dev" in said and re.search(r"by itself in \d+ s", said)
    assert "anna@laptop" in server.leases[NAME]["spec"]["holderIdentity"], "it still holds"


def test_of_many_runs_at_once_exactly_one_wins(kube: LeaseKube, server: LeaseServer) -> None:
    start, end = threading.Barrier(8), threading.Event()

    def contend(_: int) -> bool:
        start.wait()
        try:
            with holding(kube):
                end.wait(PATIENCE_SECONDS)
                return True
        except EnvironmentFault:
            return False

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(contend, number) for number in range(8)]
        assert wait_until(lambda: sum(each.done() for each in running) == 7, timeout_seconds=PATIENCE_SECONDS)
        end.set()
        assert sum(each.result() for each in running) == 1


def dead_process() -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process


def test_a_dead_process_of_this_machine_loses_it_at_once(kube: LeaseKube, server: LeaseServer) -> None:
    me = this_process(command="up --stack dev", duration_seconds=60)
    put(server, dataclasses.replace(me, pid=dead_process().pid, process="another", run="gone"))
    assert holder_of(kube, stack="dev", namespace="assistant") is None
    refuse_if_held(kube, stack="dev", namespace="assistant")
    said: list[str] = []
    with holding(kube, said=said):
        assert f"/{os.getpid()}/" in server.leases[NAME]["spec"]["holderIdentity"]
    assert "no longer lives" in said[0]


def test_a_process_id_that_somebody_else_has_now_is_no_life(kube: LeaseKube, server: LeaseServer) -> None:
    put(server, dataclasses.replace(this_process(command="", duration_seconds=60), process="an earlier one"))
    with holding(kube):
        pass


def test_what_a_killed_run_left_at_work_is_waited_for(kube: LeaseKube, server: LeaseServer) -> None:
    me = this_process(command="up --stack dev", duration_seconds=60)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE,
        env={**os.environ, RUN_VARIABLE: me.run},
    )
    assert wait_until(lambda: processes_of_run(me.run) != [], timeout_seconds=PATIENCE_SECONDS)
    put(server, dataclasses.replace(me, pid=dead_process().pid, process="another"))
    said: list[str] = []
    taken = threading.Event()

    def take() -> None:
        with holding(kube, said=said):
            taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    assert wait_until(lambda: any(f"process {child.pid}" in line for line in said), timeout_seconds=PATIENCE_SECONDS)
    assert not taken.is_set(), "not while it may still write"
    child.communicate()
    thread.join(PATIENCE_SECONDS)
    assert taken.is_set()


def test_an_expired_one_is_taken_over_unless_it_is_renewed_meanwhile(kube: LeaseKube, server: LeaseServer) -> None:
    put(server, foreign(since=ago(500), renewed=ago(100)))
    with holding(kube, timing=FAST):
        assert "anna" not in server.leases[NAME]["spec"]["holderIdentity"]

    put(server, foreign(since=ago(500), renewed=ago(100)))
    said: list[str] = []
    with ThreadPoolExecutor(1) as threads:
        slow = Timing(duration_seconds=600, renew_seconds=PATIENCE_SECONDS)
        taking = threads.submit(lambda: holding(kube, timing=slow, said=said).__enter__())
        assert wait_until(lambda: bool(said), timeout_seconds=PATIENCE_SECONDS)
        with server.mutex:
            put(server, foreign(since=ago(500), renewed=ago(100)))
        with pytest.raises(EnvironmentFault, match="another run holds the stack: anna@laptop"):
            taking.result()


def test_it_is_renewed_while_the_block_runs(kube: LeaseKube, server: LeaseServer) -> None:
    with holding(kube, timing=FAST) as held:
        first = server.leases[NAME]["spec"]["renewTime"]
        wait_until(lambda: server.leases[NAME]["spec"]["renewTime"] > first, timeout_seconds=PATIENCE_SECONDS)
        assert server.leases[NAME]["spec"]["renewTime"] > first
        held.check()


def test_somebodys_label_on_it_is_no_loss(kube: LeaseKube, server: LeaseServer) -> None:
    with holding(kube, timing=FAST) as held:
        with server.mutex:
            server.store(server.leases[NAME])
        labelled = server.writes
        assert wait_until(lambda: server.writes > labelled + 1, timeout_seconds=PATIENCE_SECONDS)
        held.check()
    assert not server.leases


@pytest.mark.parametrize("how", ["broken", "taken", "unreachable"])
def test_who_loses_it_stops_and_leaves_it_alone(how: str, kube: LeaseKube, server: LeaseServer) -> None:
    reasons = {"broken": "llmos unlock", "taken": "anna@laptop .* holds it now", "unreachable": "connection refused"}
    with pytest.raises(EnvironmentFault, match=reasons[how]), holding(kube, timing=FAST) as held:
        if how == "broken":
            with server.mutex:
                server.leases.clear()
        elif how == "taken":
            with server.mutex:
                put(server, foreign())
        else:
            server.answers = False
        assert held.lost.wait(PATIENCE_SECONDS)
        held.check()
    server.answers = True
    left = server.leases.get(NAME)
    assert (left is not None) == (how != "broken"), "it deletes no lock that may be another's"


def test_after_a_sleep_the_server_is_asked_before_anything_is_done(
    kube: LeaseKube, server: LeaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EnvironmentFault, match="holds it now"), holding(kube) as held:
        put(server, foreign())
        held.check()  # nothing is asked while the last renewal is fresh
        monkeypatch.setattr(held_module, "_moment", lambda: (time.monotonic(), time.time() + 3600))
        held.check()
    with holding(LeaseKube(server=LeaseServer())) as held:
        monkeypatch.setattr(held_module, "_moment", lambda: (time.monotonic(), time.time() + 7200))
        held.check()  # nobody took it meanwhile


def test_a_namespace_that_goes_takes_it_along(kube: LeaseKube, server: LeaseServer) -> None:
    with holding(kube, timing=FAST) as held:
        held.abandon()
        server.leases.clear()
        held.check()
    assert not held.lost.is_set()


def test_only_what_is_dead_or_far_away_is_unlocked(kube: LeaseKube, server: LeaseServer) -> None:
    assert unlock(kube, stack="dev", namespace="assistant") is None
    with holding(kube), pytest.raises(EnvironmentFault, match=f"end process {os.getpid()}"):
        unlock(kube, stack="dev", namespace="assistant")
    put(server, foreign())
    broken = unlock(kube, stack="dev", namespace="assistant")
    assert broken and broken.user == "anna" and not server.leases


def test_a_lease_of_other_hands_is_read_too() -> None:
    lease = {"metadata": {"creationTimestamp": "2026-11-25T10:00:00Z"}, "spec": {"holderIdentity": "pipeline"}}
    holder = Holder.of(lease)
    assert holder and str(holder) == "somebody@pipeline since 2026-11-25 10:00:00 UTC"
    assert not holder.is_here and not holder.died_here
    assert Holder.of({"metadata": {}, "spec": {}}) is None


def test_what_is_written_is_read_back() -> None:
    me = this_process(command="up --stack dev", duration_seconds=60)
    lease = {"metadata": {"annotations": me.annotations()}, "spec": me.spec()}
    assert Holder.of(lease) == me


def test_a_machine_is_known_by_more_than_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_identity() == machine_identity() != ""
    here = machine_identity(platform="darwin")
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    assert machine_identity(platform="darwin") != here
    assert machine_identity(platform="win32") == machine_identity(platform="darwin")


class Lost:
    """A guard whose lock is lost while kubectl runs."""

    environment = {RUN_VARIABLE: "r"}

    def __init__(self) -> None:
        self.lost = threading.Event()

    def check(self) -> None:
        if self.lost.is_set():
            raise EnvironmentFault(held_module.Fault(what="lost", where="lock", fix="repeat"))


def test_a_kubectl_that_runs_when_the_lock_is_lost_is_ended(tmp_path: Path) -> None:
    guard = Lost()
    kube = Kube(kubectl=sys.executable, guard=guard)
    started = tmp_path / "started"
    script = f"import pathlib, sys, time; pathlib.Path({str(started)!r}).touch(); time.sleep(600)"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(kube.run, "-c", script, check=False, timeout_seconds=600)
        assert wait_until(started.exists, timeout_seconds=PATIENCE_SECONDS)
        guard.lost.set()
        with pytest.raises(EnvironmentFault, match="lost"):
            running.result(PATIENCE_SECONDS)
    with pytest.raises(EnvironmentFault, match="lost"):
        kube.run("-c", "raise SystemExit('never started')")


def test_what_runs_under_the_lock_is_marked() -> None:
    kube = Kube(kubectl=sys.executable, guard=Lost())
    done = kube.run("-c", f"import os; print(os.environ['{RUN_VARIABLE}'])")
    assert done.stdout.strip() == "r"
