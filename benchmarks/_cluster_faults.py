"""What breaks in pods and beside them, under load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from benchmarks._cluster_world import ClusterWorld
from benchmarks._replicas import wait_for
from benchmarks._scenarios import Context, Registry
from llmos.kube import KubeObject

__all__ = ["FAULTS"]

FAULTS = Registry()
_SEEN_SECONDS = 60.0
# In the container's control group and in nobody's list of candidates: the kernel takes the application.
_EATER = """
import os, sys
open(sys.argv[1], "w").write(str(os.getpid()))
blocks = []
while True:
    blocks.append(b"x" * (4 << 20))
"""


def _choose(context: Context) -> KubeObject:
    return context.random.choice(sorted(context.world.pods(), key=lambda pod: pod["metadata"]["name"]))


def _restarts(world: ClusterWorld, name: str) -> int:
    (pod,) = [pod for pod in world.pods() if pod["metadata"]["name"] == name]
    return pod["status"]["containerStatuses"][0]["restartCount"]


@FAULTS.scenario("pod-killed", "the process of a replica gets SIGKILL, and its container starts again")
def _killed(context: Context) -> None:
    world, pod = context.world, _choose(context)
    name, before = pod["metadata"]["name"], pod["status"]["containerStatuses"][0]["restartCount"]
    process = world.main_process(pod)
    with context.load.killing():
        process.kill()
        process.wait(_SEEN_SECONDS)
    wait_for(lambda: _restarts(world, name) > before, "the container starts again", seconds=_SEEN_SECONDS)


@FAULTS.scenario("pod-deleted-at-once", "a pod is deleted without a grace period, as when its node is lost")
def _deleted(context: Context) -> None:
    world, pod = context.world, _choose(context)
    process = world.main_process(pod)
    with context.load.killing():
        world.kube.run("delete", "pod", pod["metadata"]["name"], "-n", world.namespace, "--grace-period=0", "--force")
        process.wait(_SEEN_SECONDS)


@FAULTS.scenario("container-out-of-memory", "a container meets its limit of memory, and the kernel kills it")
def _out_of_memory(context: Context) -> None:
    world, pod = context.world, _choose(context)
    name, before = pod["metadata"]["name"], pod["status"]["containerStatuses"][0]["restartCount"]
    process = world.main_process(pod)
    Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000", encoding="ascii")
    with context.load.killing():
        eater = subprocess.Popen([sys.executable, "-c", _EATER, _memory_group(process)])
        try:
            process.wait(_SEEN_SECONDS)
        finally:
            eater.kill()
            eater.wait()
    wait_for(lambda: _restarts(world, name) > before, "the container starts again", seconds=_SEEN_SECONDS)
    (pod,) = [pod for pod in world.pods() if pod["metadata"]["name"] == name]
    reason = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"]
    assert reason == "OOMKilled", f"the container ended with {reason}"


def _memory_group(process: psutil.Process) -> str:
    """The file that takes processes into the control group whose limit of memory the process has."""
    for line in Path(f"/proc/{process.pid}/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(",") or not controllers:
            root = Path("/sys/fs/cgroup/memory" if controllers else "/sys/fs/cgroup")
            return str(root / path.lstrip("/") / "cgroup.procs")
    raise AssertionError("the container has no control group for memory")


@FAULTS.scenario("etcd-restarted", "etcd is killed and started again; nothing that serves needs it")
def _etcd(context: Context) -> None:
    process = context.world.component("etcd")
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not process.is_running(), "etcd has ended", seconds=_SEEN_SECONDS)
    context.world.heal()
