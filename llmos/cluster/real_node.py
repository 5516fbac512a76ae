"""The real node of an embedded cluster, as the cluster sees it: whether to have one, joining, leaving, its state.

How it is made is in :mod:`llmos.cluster.node`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from llmos import packages
from llmos.cluster import contents
from llmos.cluster.binaries import provide_for_node
from llmos.cluster.networks import Network, choose_network
from llmos.cluster.node import able, join, removal
from llmos.cluster.node.layout import NODE_NAME, Layout
from llmos.cluster.nodes import readiness
from llmos.cluster.processes import NODE_COMPONENTS, ProcessState, states
from llmos.cluster.record import Record, cluster_folder
from llmos.daemons import wait_until
from llmos.process import run
from planner.faults import EnvironmentFault, Fault, LlmosError

__all__ = ["NODE_NAME", "Layout", "RealNode", "layout_of", "processes", "remove", "settle"]

Progress = Callable[[str], None]

# Measured: 8 s on 2 idle cores, with the images of its own pods to import.
_READY_SECONDS = 120


class RealNode:
    """The real node of one cluster whose API server answers."""

    def __init__(self, folder: Path, *, network: Network, kubectl: Path, api_port: int) -> None:
        self._layout = Layout(cluster=folder, network=network)
        self._kubectl, self._api_port = kubectl, api_port

    def ensure(self, *, asked: bool, install: bool, progress: Progress) -> bool:
        """Make it run, where this machine can; return whether it does.

        Args:
            asked: whether somebody asked for it; else its want is said in a line, and simulated nodes do.
            install: whether missing packages and programs may be installed.
            progress: receives what is being done.

        Raises:
            EnvironmentFault: it was asked for, and cannot be had or did not start.
        """
        if self.is_up():
            return True
        try:
            able.require(self._layout)
            packages.ensure(able.missing_packages(), install=install, why="the real node")
            binaries = provide_for_node(install=install, progress=progress)
            progress("starting the real node ...")
            join.ensure_running(self._layout, binaries=binaries, kubectl=self._kubectl, api_port=self._api_port)
            self._wait()
        except LlmosError as error:
            if asked:
                raise
            progress(
                f"no real node, so nothing runs in pods: {error.faults[0].what}\n"
                "  `python3 -m llmos cluster up --real-node` tries again"
            )
            self.leave()
            return False
        self._reserve(real=True)
        return True

    def leave(self) -> None:
        """Take it out of the cluster and off the machine; its pods go back to simulated nodes."""
        if not _begun(self._layout.cluster):
            return
        join.forget(self._layout, kubectl=self._kubectl)
        remove(self._layout.cluster.name)
        self._reserve(real=False)

    def is_up(self) -> bool:
        """Whether all its processes run and the cluster finds it Ready."""
        found = processes(self._layout.cluster)
        return bool(found) and all(process.running for process in found) and self._ready()

    def _ready(self) -> bool:
        kubeconfig = self._layout.cluster / "kubeconfig.yaml"
        return bool((readiness(kubectl=self._kubectl, kubeconfig=kubeconfig) or {}).get(NODE_NAME))

    def _wait(self) -> None:
        stopped: list[str] = []

        def over() -> bool:
            stopped[:] = [process.name for process in processes(self._layout.cluster) if not process.running]
            return bool(stopped) or self._ready()

        if wait_until(over, timeout_seconds=_READY_SECONDS) and not stopped:
            return
        name = next(iter(stopped), "kubelet")
        log = self._layout.logs / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
        said = "".join(f"\n    {line[:300]}" for line in lines[-4:])
        what = f"{name} of the real node ended:{said}"
        if name not in stopped:
            what = f"the real node is not Ready after {_READY_SECONDS} s; its kubelet says:{said}"
        where = f"real node of cluster `{self._layout.cluster.name}`"
        raise EnvironmentFault(Fault(what=what, where=where, fix=f"read the logs in {log.parent}"))

    def _reserve(self, *, real: bool) -> None:
        """Keep pods without GPUs off the simulated nodes while there is a real one, and move those that are there."""
        words = ["taint", "nodes", *contents.BASE_NODES]
        taint = f"{contents.SIMULATED_LABEL}=true:NoExecute" if real else f"{contents.SIMULATED_LABEL}:NoExecute-"
        command = [self._kubectl, "--kubeconfig", self._layout.cluster / "kubeconfig.yaml", *words, taint]
        run([*command, *(["--overwrite"] if real else [])], check=real)


def settle(name: str, record: Record, *, real: bool | None, install: bool, progress: Progress) -> Record:
    """Bring a cluster's real node to what is wanted.

    Args:
        name: cluster name.
        record: what is remembered of it; its API server must answer.
        real: whether to have one; None keeps what there is, and takes one where that is open and this machine can.
        install: whether missing packages and programs may be installed.
        progress: receives what is being done.

    Returns:
        The record with what came of it.
    """
    node = RealNode(
        cluster_folder(name), network=record.network, kubectl=record.binaries.kubectl,
        api_port=record.ports.kube_apiserver,
    )  # fmt: skip
    wanted = record.real_node if real is None else real
    if wanted is False:
        node.leave()
    has = wanted is not False and node.ensure(asked=wanted is True, install=install, progress=progress)
    if record.real_node is not has:
        record = replace(record, real_node=has)
        record.write(name)
    return record


def processes(folder: Path) -> tuple[ProcessState, ...]:
    """The state of each of the node's processes; nothing where there is no real node."""
    return states(folder, components=NODE_COMPONENTS) if _begun(folder) else ()


def remove(name: str) -> None:
    """Take a cluster's real node off the machine: processes, mounts, interfaces, rules, control groups and files.

    It works without the API server, and also on what an interrupted command left.
    """
    if _begun(cluster_folder(name)):
        removal.remove(layout_of(name))


def layout_of(name: str) -> Layout:
    """Where a cluster's real node is, or would be."""
    folder, record = cluster_folder(name), Record.read(name)
    # Without a record only names matter, for taking it down; they come from the folder.
    return Layout(cluster=folder, network=record.network if record else choose_network(folder))


def _begun(folder: Path) -> bool:
    return (folder / "node").is_dir()
