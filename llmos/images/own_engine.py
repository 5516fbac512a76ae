"""A Docker engine of our own for machines where none runs: one process, all of its state in the cache folder.

It touches no firewall rule and no kernel setting, so that stopping it leaves the machine as it was. Hence containers
get no way out (which is also what the stack's default-deny network gives them): published ports are served by Docker's
user-space proxy, and builds use the host's network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import psutil

from llmos import packages
from llmos.daemons import Daemon, locked, pid_identity, wait_until
from llmos.images import bridge
from llmos.paths import cache_dir
from llmos.process import run
from llmos.routes import ROOT_PATH, ip_program
from planner.faults import EnvironmentFault

__all__ = ["host", "program", "running", "start", "stop"]

_WHERE = "Docker engine of our own"
# The kernel allows 107 bytes for the path of a socket; /run/containerd/containerd-debug.sock takes 37 of them.
_LONGEST_FOLDER = 70
# Without it the build cache only ever grows.
_CONFIGURATION = {"builder": {"gc": {"enabled": True, "defaultKeepStorage": "10GB"}}}


def program() -> str | None:
    """Path of the ``dockerd`` program, None where it is not installed."""
    return shutil.which("dockerd", path=_path())


def host() -> str:
    """Its address in the form of DOCKER_HOST."""
    return f"unix://{_socket()}"


def running() -> bool:
    return _folder().is_dir() and _daemon().running()


def start(*, install: bool) -> None:
    """Start it and wait until it answers; nothing happens when it runs already.

    Raises:
        EnvironmentFault: it ended again or did not answer in a minute (quotes its log), or a package is missing.
    """
    if ip_program() is None:
        packages.ensure(["iproute2"], install=install, why="the network bridge of our Docker engine")
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    # A configuration of its own: the machine's daemon.json may contradict the options below.
    (folder / "daemon.json").write_text(json.dumps(_CONFIGURATION), encoding="utf-8")
    daemon = _daemon()
    with locked(folder / "engine.lock"):
        if not daemon.running():
            # An engine that was killed leaves its containers running, and a new one would wait for each to end.
            _clear_left_over()
            _run_folder().mkdir(mode=0o700)
            bridge.add(_own_name())
            # It remembers the addresses that its bridge had, and would give it those back, whoever has them now.
            shutil.rmtree(folder / "data" / "network", ignore_errors=True)
            daemon.start()
    daemon.wait_ready(lambda: _socket().is_socket() and _answers(), timeout_seconds=60)


def stop() -> bool:
    """End it and everything it holds: containers, mounts, the bridge. Images and build cache stay in the cache folder.

    Returns False when there was nothing to end.
    """
    if not _folder().is_dir():
        return False
    with locked(_folder() / "engine.lock"):
        was_running = _daemon().stop(grace_seconds=30)
        left_over = _clear_left_over()
        had_bridge = bridge.delete(_own_name())
    return was_running or left_over or had_bridge


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), ROOT_PATH))


def _folder() -> Path:
    return cache_dir().resolve() / "engine"


def _own_name() -> str:
    """Each cache folder has an engine, and so a bridge, of its own; interface names have at most 15 characters."""
    return f"llmos-{hashlib.sha256(str(_folder()).encode()).hexdigest()[:8]}"


def _run_folder() -> Path:
    """Where its sockets are: in the cache folder, or below /run where that path is too long for a socket."""
    folder = _folder()
    return folder / "run" if len(str(folder)) <= _LONGEST_FOLDER else Path("/run", _own_name())


def _socket() -> Path:
    return _run_folder() / "docker.sock"


def _ours(path: str) -> bool:
    return path.startswith((f"{_folder()}{os.sep}", f"{_run_folder()}{os.sep}"))


def _daemon() -> Daemon:
    folder = _folder()
    command = [
        program() or "dockerd", "--config-file", folder / "daemon.json",
        "--data-root", folder / "data", "--exec-root", _run_folder(), "--host", host(), "--bridge", _own_name(),
        # Our own record of the process is safe against a number that was given away again; dockerd's is not.
        "--pidfile", "", "--group", "root",
        "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
    ]  # fmt: skip
    env = {**os.environ, "PATH": _path()}
    return Daemon(name="dockerd", command=command, state_dir=folder, env=env)


def _answers() -> bool:
    client = shutil.which("docker") or "/usr/bin/docker"
    try:
        return run([client, "--host", host(), "version"], check=False, timeout_seconds=10).returncode == 0
    except EnvironmentFault:
        return False  # It accepts the connection before it is ready to answer.


def _clear_left_over() -> bool:
    """End, unmount and delete what an engine that is gone has left, images aside; True when a process was left."""
    killed = _kill_left_over()
    _unmount_left_over()
    # Its record of containerd's number would be believed by the next engine, even if that is a zombie.
    shutil.rmtree(_run_folder(), ignore_errors=True)
    return killed


def _kill_left_over() -> bool:
    """End what survives a killed engine: containerd, its shims (their arguments name our folder), their containers."""
    ours = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(map(_ours, words)) and "containerd" in Path(words[0]).name:
            ours += [process, *process.children(recursive=True)]
    known = {process.pid: pid_identity(process.pid) for process in ours}
    for pid, identity in known.items():
        if identity is not None and pid_identity(pid) == identity:
            os.kill(pid, signal.SIGKILL)
    gone = lambda: all(pid_identity(pid) != identity for pid, identity in known.items())  # noqa: E731
    wait_until(gone, timeout_seconds=10)
    return bool(known)


def _unmount_left_over() -> None:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in mounts]
    for point in sorted(filter(_ours, points), reverse=True):
        run(["umount", "--lazy", point], where=_WHERE, check=False)
