"""Who holds a lock, as its lease says it, and the programs that run under it."""

from __future__ import annotations

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmos.daemons import wait_until
from llmos.engines import held as held_module
from llmos.engines.holder import RUN_VARIABLE, Holder, machine_identity, this_process
from llmos.kube import Kube
from planner.faults import EnvironmentFault
from tests.llmos.engines.lease_server import PATIENCE_SECONDS


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
