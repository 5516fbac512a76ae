"""Background processes that outlive the command that started them, and are found again, safely, by a later one.

A process id alone proves nothing: after a crash or a reboot it may belong to somebody else's program. So what is
recorded beside the id is the moment the kernel started the process (and the boot it belongs to), and nothing is ever
signalled unless both still agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from llmos.files import write_whole
from planner.faults import EnvironmentFault, Fault

__all__ = ["Daemon", "locked", "pid_identity", "wait_until"]

_POLL_SECONDS = 0.05
# Processes started by this very program must also be reaped by it, or they stay as zombies until it ends.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """One background process with a log and a record of who it is.

    Attributes:
        name: what it is called in messages and file names, e.g. ``dockerd``.
        command: program and arguments; never passed through a shell.
        state_dir: folder of ``<name>.json`` (the record), ``<name>.lock`` and the log; created when missing.
        env: the whole environment; this process's by default.
        log: file that receives what it prints, started afresh at each start; ``<state_dir>/<name>.log`` by default.
    """

    name: str
    command: Sequence[str | Path]
    state_dir: Path
    env: Mapping[str, str] | None = None
    log: Path | None = None

    @property
    def log_path(self) -> Path:
        return self.log or self.state_dir / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process id while the process we started lives, else None."""
        record = self._read()
        if record is None or pid_identity(record["pid"]) != record["identity"]:
            return None
        return int(record["pid"])

    def running(self) -> bool:
        """Whether the process we started (not merely one with its number) is alive."""
        return self.pid is not None

    def start(self) -> bool:
        """Start it detached from this terminal; return False when it runs already.

        Raises:
            EnvironmentFault: the program is not there or cannot be run.
        """
        self.state_dir.mkdir(parents=True, exist_ok=True)
        with locked(self.state_dir / f"{self.name}.lock"):
            if self.running():
                return False
            words = [str(word) for word in self.command]
            left = self._left_over(words)
            if left is not None:
                self._note(left, words)
                return False
            env = dict(self.env) if self.env is not None else None
            try:
                with self.log_path.open("wb") as log:
                    process = subprocess.Popen(
                        words, env=env, cwd=self.state_dir, stdin=subprocess.DEVNULL, stdout=log,
                        stderr=subprocess.STDOUT, start_new_session=True,
                    )
            except OSError as error:
                what = f"`{words[0]}` cannot be started: {error.strerror}"
                raise EnvironmentFault(Fault(what=what, where=self.name, fix=f"install {self.name}")) from error
            _children[process.pid] = process
            self._note(process.pid, words)
            return True

    def _left_over(self, words: Sequence[str]) -> int | None:
        """The process that a killed command started and did not come to note: the same command line in our folder."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cmdline() == words and Path(process.cwd()) == self.state_dir.resolve():
                    return process.pid
        return None

    def _note(self, pid: int, words: Sequence[str]) -> None:
        record = {"pid": pid, "identity": pid_identity(pid), "command": list(words)}
        write_whole(self._record, json.dumps(record))

    def wait_ready(self, ready: Callable[[], bool], *, timeout_seconds: float = 60) -> None:
        """Wait until ``ready()`` is true.

        Raises:
            EnvironmentFault: the process died or the time ran out; quotes the last lines of its log.
        """
        if wait_until(lambda: ready() or not self.running(), timeout_seconds=timeout_seconds) and ready():
            return
        problem = f"did not answer within {timeout_seconds:g} s" if self.running() else "ended right after its start"
        said = "".join(f"\n    {line}" for line in self.last_words())
        fix = f"read {self.log_path}, remove the cause, then run the command again"
        raise EnvironmentFault(Fault(what=f"{self.name} {problem}:{said}", where=self.name, fix=fix))

    def stop(self, *, grace_seconds: float = 20) -> bool:
        """End it: SIGTERM, and SIGKILL to its whole group when it has not gone after ``grace_seconds``.

        Returns False when nothing of ours was running. 20 s by default: a Docker engine allows its containers 15.
        """
        if not self._record.is_file():
            return False
        with locked(self.state_dir / f"{self.name}.lock"):
            pid = self.pid
            if pid is not None:
                _terminate(pid, gone=lambda: not self.running(), grace_seconds=grace_seconds)
            self._record.unlink(missing_ok=True)
            return pid is not None

    def last_words(self, *, lines: int = 8) -> list[str]:
        """The last lines of the log, for messages; empty when there is none."""
        if not self.log_path.is_file():
            return []
        return self.log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:]

    @property
    def _record(self) -> Path:
        return self.state_dir / f"{self.name}.json"

    def _read(self) -> dict | None:
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None  # A record cut short by a crash proves nothing, so it counts as none.
        valid = isinstance(record, dict) and isinstance(record.get("pid"), int) and record.get("identity")
        return record if valid else None


def pid_identity(pid: int, *, platform: str = sys.platform) -> str | None:
    """What tells this process from any other that ever had its number; None when it is gone or a zombie."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
        return None
    if platform == "linux":
        # psutil adds the boot time, which moves when the clock is set; the kernel's own count of ticks does not.
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The program's name, in brackets, may hold blanks: fields are counted from behind it (see proc(5)).
        state, *fields = stat[stat.rindex(")") + 2 :].split()
        return None if state in "ZX" else f"{boot}:{fields[18]}"
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float) -> bool:
    """Poll a condition until it holds (True) or the time is over (False)."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _terminate(pid: int, *, gone: Callable[[], bool], grace_seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if wait_until(gone, timeout_seconds=grace_seconds):
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    wait_until(gone, timeout_seconds=10)


@contextlib.contextmanager
def locked(path: Path, *, platform: str = sys.platform) -> Iterator[None]:
    """Let only one command at a time do what is inside; the lock goes away with the process that holds it.

    Raises:
        EnvironmentFault: on Windows, which has no such locks.
    """
    if platform == "win32":
        fix = "run it inside WSL 2, or use `target: kubernetes`"
        raise EnvironmentFault(Fault(what="background processes are not supported on Windows", where="llmos", fix=fix))
    import fcntl

    with path.open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
