"""Who holds a stack's lock, as it stands in a Lease object, and whether that run still lives."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import secrets
import socket
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from llmos.daemons import pid_identity
from llmos.kube import KubeObject

__all__ = ["RUN_VARIABLE", "Holder", "machine_identity", "processes_of_run", "this_process"]

RUN_VARIABLE = "LLMAGENTOS_RUN"
"""Environment variable of every program that a run starts under its lock: what outlives a killed run is found by it."""
_ANNOTATIONS = "llmagentos.dev/lock-"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One run that holds, or held, a stack.

    Attributes:
        user: login name.
        host: name of the machine.
        pid: process id there; 0 when not known.
        run: random name of this one run.
        command: what it was called to do, e.g. ``up --stack dev``.
        machine: :func:`machine_identity` of the machine; empty when it has none.
        process: what tells the process from others that had its id (``daemons.pid_identity``).
        since: when it took the lock, by its own clock, UTC.
        renewed: when it last said that it lives, by its own clock, UTC.
        duration_seconds: how long after that it counts as alive.
    """

    user: str
    host: str
    pid: int
    run: str
    command: str
    machine: str
    process: str
    since: datetime
    renewed: datetime
    duration_seconds: float

    def __str__(self) -> str:
        process = f" (process {self.pid})" if self.pid else ""
        command = f", `{self.command}`" if self.command else ""
        return f"{self.user}@{self.host}{process} since {self.since:%Y-%m-%d %H:%M:%S} UTC{command}"

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, among processes that this one can see."""
        return bool(self.machine) and self.machine == machine_identity()

    @property
    def lives_here(self) -> bool:
        """Whether its process is alive on this machine."""
        return self.is_here and pid_identity(self.pid) == self.process

    @property
    def died_here(self) -> bool:
        """Whether it is known to be dead: it ran on this machine, and its process is gone."""
        return self.is_here and not self.lives_here

    def expires_in(self, now: datetime) -> float:
        """Seconds until it counts as dead unless it renews its lock; negative when that has passed."""
        return self.duration_seconds - (now - self.renewed).total_seconds()

    def spec(self) -> KubeObject:
        """The ``spec`` of its Lease."""
        return {
            "holderIdentity": f"{self.user}@{self.host}/{self.pid}/{self.run}",
            "leaseDurationSeconds": max(1, round(self.duration_seconds)),
            "acquireTime": _text(self.since),
            "renewTime": _text(self.renewed),
        }

    def annotations(self) -> dict[str, str]:
        """What the fields of a Lease have no room for."""
        values = {"command": self.command, "machine": self.machine, "process": self.process}
        return {f"{_ANNOTATIONS}{name}": value for name, value in values.items()}

    @classmethod
    def of(cls, lease: KubeObject) -> Holder | None:
        """The holder that a Lease names; None when it names none."""
        spec, noted = lease.get("spec", {}), lease["metadata"].get("annotations", {})
        identity = spec.get("holderIdentity")
        if not identity:
            return None
        who, _, rest = identity.partition("/")
        pid, _, run = rest.partition("/")
        user, _, host = who.rpartition("@")
        created = lease["metadata"].get("creationTimestamp", "1970-01-01T00:00:00Z")
        since = _time(spec.get("acquireTime") or created)
        return cls(
            user=user or "somebody", host=host, pid=int(pid) if pid.isdigit() else 0, run=run,
            command=noted.get(f"{_ANNOTATIONS}command", ""), machine=noted.get(f"{_ANNOTATIONS}machine", ""),
            process=noted.get(f"{_ANNOTATIONS}process", ""), since=since,
            renewed=_time(spec["renewTime"]) if spec.get("renewTime") else since,
            duration_seconds=float(spec.get("leaseDurationSeconds") or 60),
        )  # fmt: skip


def this_process(*, command: str, duration_seconds: float) -> Holder:
    """This process, about to take a lock."""
    now = datetime.now(UTC)
    return Holder(
        user=_user(), host=socket.gethostname(), pid=os.getpid(), run=secrets.token_hex(8), command=command,
        machine=machine_identity(), process=pid_identity(os.getpid()) or "", since=now, renewed=now,
        duration_seconds=duration_seconds,
    )  # fmt: skip


def machine_identity(*, platform: str = sys.platform) -> str:
    """A hash that two processes share only when each can see by its process id whether the other lives.

    On Linux that needs the same boot, the same process-id namespace (two containers on one machine have the same
    process ids for different processes, and often the same host name) and the same user (others' processes may be
    hidden). Elsewhere the host and its network card stand for the machine. Empty where nothing tells.
    """
    if platform == "linux":
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
            parts = [boot, str(Path("/proc/self/ns/pid").stat().st_ino), str(os.getuid())]
        except OSError:
            return ""
    else:
        parts = [socket.gethostname(), str(uuid.getnode()), _user()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def processes_of_run(run: str) -> list[psutil.Process]:
    """Programs on this machine that a run started under its lock and that still work, e.g. a kubectl that outlived
    it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(RUN_VARIABLE) == run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id that has no name.
        return f"user-{os.getuid()}" if hasattr(os, "getuid") else "somebody"


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
