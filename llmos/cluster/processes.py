"""The processes of one cluster: which run, since when, and how they are ended.

kwokctl's pid files hold a bare number, which after a crash or a reboot may be anybody's. Every process of a cluster is
started through a link in the cluster's own ``bin`` folder, and that is what identifies it here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from llmos.cluster.networks import NODES_MAX

__all__ = [
    "COMPONENTS", "NODE_COMPONENTS", "ProcessState", "drop_stale_pid_files", "node_components", "states", "stop_all",
]  # fmt: skip

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller", "karpenter")
"""In the order in which they start."""

NODE_COMPONENTS = ("containerd", "api-relay", "kubelet", "kube-proxy", "kube-network-policies")
"""The processes of the first real node, likewise."""

_OF_THE_FIRST = "api-relay"


@dataclass(frozen=True, kw_only=True)
class ProcessState:
    """One process of the cluster.

    Attributes:
        name: its component, one of :data:`COMPONENTS` or of :func:`node_components`.
        pid: None when it does not run.
        since: when it started, UTC; None when it does not run.
        memory_mib: resident memory; 0 when it does not run.
    """

    name: str
    pid: int | None = None
    since: datetime | None = None
    memory_mib: float = 0

    @property
    def running(self) -> bool:
        return self.pid is not None

    def __str__(self) -> str:
        if self.pid is None or self.since is None:
            return f"{self.name:<24} stopped"
        since = f"{self.since:%Y-%m-%d %H:%M:%S} UTC"
        return f"{self.name:<24} running  pid {self.pid:<8} {self.memory_mib:4.0f} MiB  since {since}"


def node_components(number: int) -> tuple[str, ...]:
    """The processes of a real node, e.g. ``kubelet-2``; all nodes reach the API server by the first one's relay."""
    if number == 1:
        return NODE_COMPONENTS
    return tuple(f"{name}-{number}" for name in NODE_COMPONENTS if name != _OF_THE_FIRST)


def states(folder: Path, *, components: Sequence[str] = COMPONENTS) -> tuple[ProcessState, ...]:
    """The state of components of the cluster in ``folder``, in the order given."""
    found = {name: _state(name, process) for name, process in _processes(folder)}
    return tuple(found.get(name, ProcessState(name=name)) for name in components)


def drop_stale_pid_files(folder: Path) -> None:
    """Remove kwokctl's pid files whose process is gone, dead but not reaped, or somebody else's."""
    alive = {process.pid for _, process in _processes(folder)}
    for file in (folder / "pids").glob("*.pid"):
        text = file.read_text(encoding="utf-8").strip()
        if not text.isdigit() or int(text) not in alive:
            file.unlink(missing_ok=True)


def stop_all(folder: Path) -> list[str]:
    """Kill every process of the cluster, also those whose pid file is lost; return their components.

    SIGKILL, because the data is going to be deleted: there is nothing worth a graceful end, which takes a minute.
    """
    found = list(_processes(folder))
    for _, process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs([process for _, process in found], timeout=10)
    return [name for name, _ in found]


def _processes(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Component and process; a zombie has no command line any more, so it is never among them."""
    of_nodes = [name for number in range(1, NODES_MAX + 1) for name in node_components(number)]
    programs = {str(folder / "bin" / name): name for name in (*COMPONENTS, *of_nodes)}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            program = _program(process.cmdline())
            if program in programs:
                yield programs[program], process


def _program(command: list[str]) -> str:
    """What runs, or is about to: for a moment a process is the one that changes the network namespace for it."""
    if command and Path(command[0]).name == "nsenter":
        command = command[command.index("--") + 1 :] if "--" in command else []
    return command[0] if command else ""


def _state(name: str, process: psutil.Process) -> ProcessState:
    with process.oneshot():
        return ProcessState(
            name=name,
            pid=process.pid,
            since=datetime.fromtimestamp(process.create_time(), tz=UTC),
            memory_mib=process.memory_info().rss / 2**20,
        )
