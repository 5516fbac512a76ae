"""Whose lock may be taken: a dead holder's, an expired one, and what `unlock` breaks."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from llmos.daemons import wait_until
from llmos.engines.holder import RUN_VARIABLE, processes_of_run, this_process
from llmos.engines.lock import Timing, holder_of, refuse_if_held, unlock
from planner.faults import EnvironmentFault
from tests.llmos.engines.lease_server import FAST, NAME, PATIENCE_SECONDS, LeaseKube, LeaseServer, foreign, holding, put


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


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


def test_only_what_is_dead_or_far_away_is_unlocked(kube: LeaseKube, server: LeaseServer) -> None:
    assert unlock(kube, stack="dev", namespace="assistant") is None
    with holding(kube), pytest.raises(EnvironmentFault, match=f"end process {os.getpid()}"):
        unlock(kube, stack="dev", namespace="assistant")
    put(server, foreign())
    broken = unlock(kube, stack="dev", namespace="assistant")
    assert broken and broken.user == "anna" and not server.leases
