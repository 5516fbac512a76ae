from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from llmos.cluster import processes
from llmos.daemons import wait_until


@contextmanager
def running(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def pid_file(folder: Path, component: str, pid: int) -> Path:
    path = folder / "pids" / f"{component}.pid"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(pid), encoding="utf-8")
    return path


def test_only_processes_started_from_the_clusters_folder_are_its_own(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    with running(mine / "bin" / "etcd") as etcd, running(other / "bin" / "etcd") as stranger:
        own = pid_file(mine, "etcd", etcd.pid)
        recycled = pid_file(mine, "kube-apiserver", stranger.pid)
        broken = pid_file(mine, "kube-scheduler", 0)
        broken.write_text("", encoding="utf-8")

        found = {state.name: state.pid for state in processes.states(mine) if state.running}
        assert found == {"etcd": etcd.pid}
        assert [state.name for state in processes.states(mine)] == list(processes.COMPONENTS)

        processes.drop_stale_pid_files(mine)
        assert own.exists() and not recycled.exists() and not broken.exists()

        assert processes.stop_all(mine) == ["etcd"]
        assert etcd.poll() is not None
        assert stranger.poll() is None


def test_a_program_that_still_changes_its_network_namespace_runs(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "kubelet"
    words = ["nsenter", "-c", "read line", "--", str(program), "--config", "x"]
    with subprocess.Popen(words, executable="/bin/sh", stdin=subprocess.PIPE) as process:
        (state,) = processes.states(tmp_path, components=["kubelet"])
        process.communicate(b"\n")
    assert state.pid == process.pid


def test_a_zombie_does_not_count_as_running(tmp_path: Path) -> None:
    with running(tmp_path / "bin" / "etcd") as etcd:
        pid_file(tmp_path, "etcd", etcd.pid)
        etcd.kill()
        # Not waited for, so it stays in the process table as a zombie.
        dead = psutil.Process(etcd.pid)
        assert wait_until(lambda: dead.status() == psutil.STATUS_ZOMBIE, timeout_seconds=10)
        assert not any(state.running for state in processes.states(tmp_path))
        processes.drop_stale_pid_files(tmp_path)
        assert list((tmp_path / "pids").iterdir()) == []


def test_a_state_reads_well() -> None:
    assert str(processes.ProcessState(name="etcd")).split() == ["etcd", "stopped"]
