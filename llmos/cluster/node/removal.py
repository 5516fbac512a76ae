"""Taking a node down so that nothing of it stays: processes, mounts, interfaces, rules, control groups, files."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from llmos.cluster.node import cgroups, links, settings
from llmos.cluster.node.layout import Layout
from llmos.cluster.processes import node_components, states
from llmos.daemons import pid_identity, wait_until
from llmos.process import run

__all__ = ["clear", "kill", "outside", "remove", "stop"]

_SHIM_SOCKETS = Path("/run/containerd/s")
# The network library of containerd keeps one result there for each pod, whatever it is configured for.
_NETWORK_RESULTS = Path("/var/lib/cni/results")
# Where a kubelet links the logs of containers, whatever it is configured for.
_CONTAINER_LOGS = Path("/var/log/containers")


def remove(layout: Layout) -> None:
    """End and delete everything of the node on this machine.

    It works from what it finds, so that it can be repeated after an interruption, and after a reboot.
    """
    clear(layout)
    links.remove(layout)
    shutil.rmtree(layout.folder, ignore_errors=True)
    settings.restore()


def clear(layout: Layout) -> None:
    """End it and delete what containerd and kubelet keep at run time; images and volumes stay.

    Also for a node that is to start again after a reboot: neither program would believe what it finds.
    """
    files = list(outside(layout))
    stop(layout)
    for path in files:
        path.unlink(missing_ok=True)
    runtime = (layout.containerd_state, layout.runc_root, layout.kubelet_root, layout.pod_logs, layout.given_addresses)
    for folder in runtime:
        shutil.rmtree(folder, ignore_errors=True)


def stop(layout: Layout) -> None:
    """End its programs and every container; nothing of it is mounted afterwards."""
    own = states(layout.cluster, components=node_components(layout.number))
    kill(*(state.pid for state in own if state.pid is not None))
    _kill_shims(layout)
    cgroups.kill_members(layout.mark)
    cgroups.remove(layout.mark)
    _unmount(layout.folder)


def outside(layout: Layout) -> Iterator[Path]:
    """Its files outside its folder, whose places containerd and kubelet do not let anybody choose."""
    yield from _shim_sockets(layout)
    yield from _network_results(layout)
    yield from _log_links(layout)


def kill(*pids: int) -> None:
    """End processes by SIGKILL, and wait until they are gone: nothing of them is worth a graceful end."""
    found = {pid: pid_identity(pid) for pid in pids}
    for pid, identity in found.items():
        if identity is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(pid_identity(pid) != was for pid, was in found.items() if was), timeout_seconds=10)


def _kill_shims(layout: Layout) -> None:
    """One for each pod; its arguments name our containerd."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if words and "containerd-shim" in words[0] and str(layout.containerd_socket) in words:
                found.append(process.pid)
    kill(*found)


def _shim_sockets(layout: Layout) -> Iterator[Path]:
    for address in layout.containerd_state.glob("io.containerd.runtime.v2.task/k8s.io/*/address"):
        with contextlib.suppress(OSError):
            path = Path(address.read_text(encoding="utf-8").strip().removeprefix("unix://"))
            if path.parent == _SHIM_SOCKETS:
                yield path


def _network_results(layout: Layout) -> Iterator[Path]:
    """Of each pod one for our network, whose name is ours, and one for its loopback, which has the pod's id only."""
    for path in _NETWORK_RESULTS.glob(f"{layout.mark}-*-eth0"):
        yield path
        yield _NETWORK_RESULTS / path.name.replace(layout.mark, "cni-loopback").replace("-eth0", "-lo")


def _log_links(layout: Layout) -> Iterator[Path]:
    for path in _CONTAINER_LOGS.glob("*.log") if _CONTAINER_LOGS.is_dir() else ():
        if path.is_symlink() and path.readlink().is_relative_to(layout.pod_logs):
            yield path


def _unmount(folder: Path) -> None:
    """Volumes, root file systems and network namespaces of pods, the innermost first."""
    inside = f"{folder.resolve()}{os.sep}"
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in mounts]
    for point in sorted((point for point in points if point.startswith(inside)), reverse=True):
        # What is deleted next must not be a volume that is still mounted there.
        run(["umount", "--lazy", point], where="mounts of the real node", check=Path(point).exists())
