"""The lock of a stack: one holder at a time, renewed while it works, and who loses it stops."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from llmos.daemons import wait_until
from llmos.engines import held as held_module
from llmos.engines.lock import holder_of, refuse_if_held
from planner.faults import EnvironmentFault
from tests.llmos.engines.lease_server import FAST, NAME, PATIENCE_SECONDS, LeaseKube, LeaseServer, foreign, holding, put


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
