"""Background processes: started once, found again, never mistaken for somebody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmos.daemons import Daemon, pid_identity, wait_until
from planner.faults import EnvironmentFault

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="background processes are POSIX only")


def _daemon(folder: Path, code: str = "import time; print('up', flush=True); time.sleep(300)") -> Daemon:
    return Daemon(name="sleeper", command=[sys.executable, "-c", code], state_dir=folder / "state")


@pytest.fixture
def daemon(tmp_path: Path):
    daemon = _daemon(tmp_path)
    yield daemon
    daemon.stop()


def test_a_second_start_changes_nothing(daemon: Daemon) -> None:
    assert daemon.start() is True
    pid = daemon.pid
    assert pid is not None
    assert daemon.start() is False
    assert daemon.pid == pid


def test_one_that_a_killed_command_could_not_note_is_found_and_not_started_twice(daemon: Daemon) -> None:
    daemon.state_dir.mkdir()
    words = [str(word) for word in daemon.command]
    unnoted = subprocess.Popen(words, cwd=daemon.state_dir, stdout=subprocess.DEVNULL, start_new_session=True)
    elsewhere = subprocess.Popen(words, cwd=daemon.state_dir.parent, stdout=subprocess.DEVNULL)
    try:
        assert not daemon.running()
        assert daemon.start() is False
        assert daemon.pid == unnoted.pid
        assert daemon.stop() is True and elsewhere.poll() is None
    finally:
        for process in (unnoted, elsewhere):
            process.kill()
            process.wait()


def test_a_later_command_finds_it(daemon: Daemon) -> None:
    daemon.start()
    again = Daemon(name=daemon.name, command=(), state_dir=daemon.state_dir)
    assert again.pid == daemon.pid
    assert again.stop() is True
    assert not daemon.running()


def test_it_is_detached_from_this_session(daemon: Daemon) -> None:
    daemon.start()
    assert daemon.pid is not None
    assert os.getsid(daemon.pid) == daemon.pid != os.getsid(0)


def test_a_killed_daemon_is_noticed_and_started_again(daemon: Daemon) -> None:
    daemon.start()
    first = daemon.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: not daemon.running(), timeout_seconds=10)
    assert daemon.start() is True
    assert daemon.pid not in (None, first)


def test_somebody_elses_process_with_our_number_is_never_signalled(daemon: Daemon) -> None:
    daemon.start()
    daemon.stop()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        record = {"pid": stranger.pid, "identity": "another-boot:1", "command": []}
        (daemon.state_dir / "sleeper.json").write_text(json.dumps(record), encoding="utf-8")
        assert not daemon.running()
        assert daemon.stop() is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_record_cut_short_counts_as_none(daemon: Daemon) -> None:
    daemon.state_dir.mkdir(parents=True)
    (daemon.state_dir / "sleeper.json").write_text('{"pid": 1', encoding="utf-8")
    assert not daemon.running()
    assert daemon.start() is True


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    daemon = _daemon(tmp_path, f"{deaf}; print('up', flush=True); time.sleep(300)")
    daemon.start()
    daemon.wait_ready(lambda: daemon.last_words() == ["up"], timeout_seconds=30)
    pid = daemon.pid
    assert pid is not None
    assert daemon.stop(grace_seconds=0.2) is True
    assert pid_identity(pid) is None


def test_one_that_dies_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    daemon = _daemon(tmp_path, "raise SystemExit('the disk is full')")
    daemon.start()
    with pytest.raises(EnvironmentFault, match=r"ended right after its start(.|\n)*the disk is full"):
        daemon.wait_ready(lambda: False, timeout_seconds=30)


def test_one_that_never_gets_ready_is_reported(daemon: Daemon) -> None:
    daemon.start()
    with pytest.raises(EnvironmentFault, match=r"did not answer within 0\.2 s"):
        daemon.wait_ready(lambda: False, timeout_seconds=0.2)


def test_a_missing_program_is_one_fault(tmp_path: Path) -> None:
    daemon = Daemon(name="ghost", command=[tmp_path / "nowhere"], state_dir=tmp_path / "state")
    with pytest.raises(EnvironmentFault, match="cannot be started"):
        daemon.start()
    assert not daemon.running()


def test_stopping_what_never_ran_touches_nothing(tmp_path: Path) -> None:
    assert _daemon(tmp_path).stop() is False
    assert list(tmp_path.iterdir()) == []
