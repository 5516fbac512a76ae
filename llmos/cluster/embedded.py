"""The embedded cluster: a real Kubernetes control plane and node autoscaler on this machine, with simulated nodes.

Everything of a cluster lives in one folder of the user's cache, its kubeconfig included; the user's own kubeconfig is
neither read nor written.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import yaml

from llmos.cluster import contents, control_plane, karpenter, real_node
from llmos.cluster.binaries import provide
from llmos.cluster.claims import release
from llmos.cluster.info import NOT_ENFORCED, ClusterInfo, ClusterStatus
from llmos.cluster.locks import exclusive
from llmos.cluster.node.layout import NODE_NAMES
from llmos.cluster.nodes import readiness
from llmos.cluster.ports import is_free
from llmos.cluster.processes import drop_stale_pid_files, states, stop_all
from llmos.cluster.record import Record, cluster_folder
from llmos.console import note
from llmos.daemons import wait_until
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["down", "status", "up"]

Progress = Callable[[str], None]

# Measured: a whole start takes 10 s on 2 cores under a load of 12, and 22 s under a load of 25.
_READY_SECONDS = 120
# Enough for one that ends over and over while the machine is busy; a wrong setting is not healed by more.
_REVIVALS = 5
# The wait for another command on the same cluster, which may be building the programs.
_LOCK_SECONDS = 3600
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def up(
    *, name: str = "llmos", real: bool | None = None, nodes: int | None = None, install: bool = True,
    progress: Progress = note,
) -> ClusterInfo:  # fmt: skip
    """Create the cluster, or start whatever of it does not run; what it holds stays.

    Args:
        name: cluster name, a DNS label of at most 40 characters.
        real: whether a real node belongs to it; None keeps what the cluster has, and takes one for a new cluster where
            this machine can (Linux, root).
        nodes: how many real nodes belong to it, from 0 to 4; None keeps what the cluster has, and is 1 where it had
            none. More than one is for trying what happens when a node fails or is drained.
        install: whether missing programs may be downloaded or built.
        progress: receives what is being done; nothing when the cluster is up already.

    Raises:
        UserFault: the name or the number of nodes is not allowed.
        EnvironmentFault: a program is missing, or something did not start; says what and where its log is.
    """
    _require_supported(name)
    real_node.require_sense(real, nodes)
    with _locked(name, progress):
        record = Record.read(name)
        if record is None or not record.complete:
            record = _create(name, install=install, progress=progress)
        elif not _is_up(name, record):
            record = _restart(name, record, install=install, progress=progress)
        # A changed catalogue restarts it even where everything runs.
        karpenter.ensure_running(cluster_folder(name), binaries=record.binaries, ports=record.ports)
        record = real_node.settle(name, record, real=real, count=nodes, install=install, progress=progress)
        return _info(name, record)


def down(*, name: str = "llmos", progress: Progress = note) -> bool:
    """Stop the cluster and delete everything of it; the programs stay in the cache.

    Returns:
        Whether there was anything to take down.

    Raises:
        EnvironmentFault: a process could not be ended.
    """
    _require_supported(name)
    folder = cluster_folder(name)
    with _locked(name, progress):
        if not folder.exists() and not stop_all(folder):
            return False
        stop_all(folder)
        real_node.remove(name)
        left = [process for process in states(folder) if process.running]
        if left:
            what = f"could not end {', '.join(f'{process.name} (pid {process.pid})' for process in left)}"
            raise EnvironmentFault(Fault(what=what, where=_where(name), fix="end them as the user who started them"))
        if folder.exists():
            shutil.rmtree(folder)
        release(folder)
        progress(f"cluster `{name}` is down")
        return True


def status(*, name: str = "llmos") -> ClusterStatus:
    """What runs of the cluster; starts and changes nothing."""
    _require_supported(name)
    record = Record.read(name)
    if record is None:
        return ClusterStatus(name=name, exists=False)
    folder = cluster_folder(name)
    processes = states(folder) + real_node.processes(name)
    if not record.complete:
        return ClusterStatus(name=name, exists=True, processes=processes)
    return ClusterStatus.of(_nodes(name, record), info=_info(name, record), processes=processes)


def _create(name: str, *, install: bool, progress: Progress) -> Record:
    binaries = provide(install=install, progress=progress)
    folder = cluster_folder(name)
    # What an interrupted creation left holds nothing of value and cannot be trusted.
    stop_all(folder)
    real_node.remove(name)
    if folder.exists():
        shutil.rmtree(folder)
    progress(f"creating cluster `{name}` ...")
    record = Record.new(name, binaries=binaries, progress=progress)
    control_plane.create(name, folder=folder, binaries=binaries, ports=record.ports, network=record.network)
    _fill(name, record)
    record = replace(record, complete=True)
    record.write(name)
    return record


def _restart(name: str, record: Record, *, install: bool, progress: Progress) -> Record:
    if not record.binaries.complete():
        record = replace(record, binaries=provide(install=install, progress=progress))
        record.write(name)
    folder = cluster_folder(name)
    stopped = [process.name for process in states(folder) if not process.running]
    progress(f"cluster `{name}`: starting {', '.join(stopped) or 'what does not answer'} ...")
    _require_free(name, record, stopped)
    drop_stale_pid_files(folder)
    control_plane.start(name, binaries=record.binaries)
    _fill(name, record)
    return record


def _fill(name: str, record: Record) -> None:
    folder = cluster_folder(name)
    nodes = _nodes(name, record)
    if nodes is None:
        raise _not_up(name, "the API server does not answer")
    if not contents.BASE_NODES.keys() <= nodes.keys():
        contents.apply(folder, kubectl=record.binaries.kubectl, karpenter_crds=record.binaries.karpenter_crds)
    karpenter.ensure_running(folder, binaries=record.binaries, ports=record.ports)
    if not wait_until(_reviving(name, record), timeout_seconds=_READY_SECONDS):
        raise _not_up(name, f"its nodes are not Ready after {_READY_SECONDS} s")


def _reviving(name: str, record: Record) -> Callable[[], bool]:
    """A check whether the cluster is up that starts again what has ended meanwhile, a few times.

    On a busy machine the API server takes longer than the ten seconds that the controller manager gives it, and then
    the controller manager ends; elsewhere a kubelet would restart it.
    """
    folder, left = cluster_folder(name), _REVIVALS

    def check() -> bool:
        nonlocal left
        if _is_up(name, record):
            return True
        if left and not all(process.running for process in states(folder)):
            left -= 1
            drop_stale_pid_files(folder)
            control_plane.start(name, binaries=record.binaries)
            karpenter.ensure_running(folder, binaries=record.binaries, ports=record.ports)
        return False

    return check


def _not_up(name: str, problem: str) -> EnvironmentFault:
    logs = cluster_folder(name) / "logs"
    stopped = [process.name for process in states(cluster_folder(name)) if not process.running]
    for log in (log for component in stopped if (log := logs / f"{component}.log").is_file()):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-60:]
        telling = [line for line in lines if re.search("panic|fatal|error", line, re.IGNORECASE)] or lines
        problem = f"{log.stem} ended:\n    " + "\n    ".join(line[:300] for line in telling[-3:])
        break
    fix = f"read the logs in {logs}; `python3 -m llmos cluster down` and `up` start afresh"
    return EnvironmentFault(Fault(what=problem, where=_where(name), fix=fix))


def _require_free(name: str, record: Record, components: list[str]) -> None:
    for component in components:
        taken = [str(port) for port in record.ports.of(component) if not is_free(port)]
        if taken:
            what = f"port {' and '.join(taken)} of {component} is taken by another program by now"
            fix = "stop that program; or `python3 -m llmos cluster down` and `up`, which chooses other ports"
            raise EnvironmentFault(Fault(what=what, where=_where(name), fix=fix))


def _is_up(name: str, record: Record) -> bool:
    if not all(process.running for process in states(cluster_folder(name))):
        return False
    nodes = _nodes(name, record)
    return nodes is not None and all(nodes.get(node, False) for node in contents.BASE_NODES)


def _nodes(name: str, record: Record) -> dict[str, bool] | None:
    return readiness(kubectl=record.binaries.kubectl, kubeconfig=cluster_folder(name) / "kubeconfig.yaml")


def _info(name: str, record: Record) -> ClusterInfo:
    kubeconfig = cluster_folder(name) / "kubeconfig.yaml"
    context = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["current-context"]
    return ClusterInfo(
        name=name,
        context=context,
        kubeconfig=kubeconfig,
        kubectl=record.binaries.kubectl,
        api_url=f"https://127.0.0.1:{record.ports.kube_apiserver}",
        simulated=not record.real_nodes,
        real_nodes=NODE_NAMES[: record.real_nodes or 0],
        network_policies=real_node.enforcement(name) if record.real_nodes else NOT_ENFORCED,
    )


def _locked(name: str, progress: Progress) -> AbstractContextManager[None]:
    why = f"another command is working on cluster `{name}`"
    return exclusive(f"cluster-{name}", why=why, progress=progress, timeout_seconds=_LOCK_SECONDS)


def _where(name: str) -> str:
    return f"embedded cluster `{name}`"


def _require_supported(name: str, *, platform: str = sys.platform) -> None:
    if not _NAME.fullmatch(name):
        what = f"`{name}` is not a cluster name: up to 40 lower-case letters, digits and hyphens"
        raise UserFault(Fault(what=what, where="cluster name", fix="choose another name, e.g. `llmos`"))
    if platform == "win32":
        fix = "run it inside WSL 2, or use `--kind`, or `target: kubernetes` with a cluster you have"
        raise EnvironmentFault(Fault(what="it does not run on Windows", where=_where(name), fix=fix))
