"""The load that counts what is lost, and the scenarios that need no cluster."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks import reliability
from benchmarks._cluster_elasticity import turns
from benchmarks._load import Load, Outcome, report
from benchmarks._scenarios import Context, Registry, run


def _outcome(started: float, ended: float, problem: str = "", *, broken: bool = False, stream: bool = False) -> Outcome:
    return Outcome(stream=stream, started=started, ended=ended, problem=problem, broken=broken)


def test_only_what_was_open_at_a_kill_and_broke_by_it_is_counted_apart() -> None:
    outcomes = [
        _outcome(0.0, 1.0), _outcome(1.0, 1.5),
        _outcome(9.0, 10.2, "reset", broken=True),  # in flight
        _outcome(9.5, 10.3, "HTTP 503"),  # an answer, though not a good one
        _outcome(10.2, 10.3, "refused", broken=True),  # sent after the kill
        _outcome(9.9, 15.0, "reset", broken=True),  # long after the kill
        _outcome(3.0, 4.0, "reset", broken=True, stream=True),  # long before
    ]  # fmt: skip
    seen = report(outcomes, kills=[(10.0, 10.1)])
    assert (seen.requests, seen.streams, seen.lost, seen.lost_in_flight) == (7, 1, 4, 1)
    assert seen.problems == {"HTTP 503": 1, "refused": 1, "reset": 2}
    assert seen.last_loss == 15.0
    assert seen.longest_stall_seconds == 0.5


@pytest.fixture(scope="module")
def world() -> Iterator[reliability.World]:
    with reliability.process_world(replicas=2) as made:
        yield made


def test_every_kind_of_loss_is_seen(world: reliability.World) -> None:
    """A load that could not fail would prove nothing."""
    with Load(url=world.url, key=world.key, per_second=20, streams=2, stream_tokens=5) as load:
        whole = load.stop()
    assert whole.requests > 4 and whole.streams >= 2 and whole.lost == 0
    for url, key, reason in (
        (world.url, "wrong", "HTTP 401 invalid_api_key"), ("http://127.0.0.1:9", world.key, "ClientConnectorError"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=reason), Load(url=url, key=key, per_second=20, begin_seconds=1):
            raise AssertionError("it has begun")


def test_a_scenario_that_loses_requests_or_does_not_recover_is_not_passed(world: reliability.World) -> None:
    mine = Registry()

    @mine.scenario("crash", "a replica dies, and the load is not told")
    def _crash(context: Context) -> None:
        time.sleep(0.5)
        context.world.replace(context.world.kill(0))

    @mine.scenario("broken-promise", "something beside the requests is not as promised")
    def _broken(_context: Context) -> None:
        raise AssertionError("the old version is gone")

    crash, broken = run(mine.values(), world, seed=1, per_second=20, streams=8, stream_tokens=100)
    assert crash.lost > 0 and crash.lost_in_flight == 0 and "lost" in crash.problem
    assert broken.lost == 0 and broken.problem == "the old version is gone"
    assert not crash.document()["passed"]


def test_replicas_die_and_are_replaced_and_nothing_else_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    code = reliability.main(["--processes", "--per-second", "20", "--streams", "6", "--seed", "7"])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = {row["name"]: row for row in summary["scenarios"]}
    assert rows.keys() == {"replica-killed", "update-settings", "scale-down"}
    assert all(row["lost"] == 0 and row["requests"] > 20 and row["streams"] >= 6 for row in rows.values()), rows
    assert rows["replica-killed"]["lost_in_flight"] > 0, "streams were open on it"
    assert rows["update-settings"]["lost_in_flight"] == rows["scale-down"]["lost_in_flight"] == 0
    assert (code, summary["reached"], summary["seed"]) == (0, True, 7)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([1, 1, 2, 4, 4, 3, 1], 1), ([1], 0), ([1, 4], 0), ([1, 2, 1, 2, 4], 2), ([1, 4, 2, 3, 1], 3)],
)
def test_a_count_that_flaps_changes_its_direction_more_than_once(counts: list[int], expected: int) -> None:
    assert turns(counts) == expected


def test_a_wrong_name_is_refused_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    threads = threading.active_count()
    assert reliability.main(["--processes", "--only", "earthquake"]) == 1
    assert "earthquake; these are: replica-killed" in capsys.readouterr().err
    assert reliability.main(["--processes", "--list"]) == 0
    assert "update-settings" in capsys.readouterr().out
    assert threading.active_count() == threads
