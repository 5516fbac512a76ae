"""The real nodes of one cluster: letting them join and leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from llmos import packages
from llmos.cluster import contents
from llmos.cluster.binaries import provide_for_node
from llmos.cluster.networks import Network
from llmos.cluster.node import able, addons, join, removal
from llmos.cluster.node.layout import Layout, begun, layouts
from llmos.cluster.nodes import readiness
from llmos.cluster.processes import ProcessState, states
from llmos.console import note
from llmos.daemons import wait_until
from llmos.process import run
from planner.faults import EnvironmentFault, Fault, LlmosError

__all__ = ["RealNodes", "processes"]

Progress = Callable[[str], None]

# Measured: 8 s on 2 idle cores for the first, with the images of its own pods to import, and less for each other.
_READY_SECONDS = 120


def processes(layouts: Sequence[Layout]) -> tuple[ProcessState, ...]:
    """The state of each process of these nodes."""
    return tuple(one for layout in layouts for one in states(layout.cluster, components=layout.components))


class RealNodes:
    """The real nodes of one cluster whose API server answers."""

    def __init__(self, folder: Path, *, network: Network, kubectl: Path, api_port: int) -> None:
        self._layouts = layouts(folder, network)
        self._name, self._kubeconfig = folder.name, folder / "kubeconfig.yaml"
        self._kubectl, self._api_port = kubectl, api_port

    def ensure(self, count: int, *, asked: bool, install: bool, progress: Progress) -> bool:
        """Make the first ``count`` run, where this machine can; return whether they do.

        Args:
            count: how many, from 1.
            asked: whether somebody asked for them; else their want is said in a line, and simulated nodes do.
            install: whether missing packages and programs may be installed.
            progress: receives what is being done.

        Raises:
            EnvironmentFault: they were asked for, and cannot be had or did not start.
        """
        layouts = self._layouts[:count]
        if self.are_up(layouts):
            return True
        try:
            for layout in layouts:
                able.require(layout)
            packages.ensure(able.missing_packages(), install=install, why="the real node")
            binaries = provide_for_node(install=install, progress=progress)
            progress(f"starting {'the real node' if count == 1 else f'{count} real nodes'} ...")
            for layout in layouts:
                join.ensure_running(
                    layout, nodes=count, binaries=binaries, kubectl=self._kubectl, api_port=self._api_port
                )
            self._wait(layouts)
        except LlmosError as error:
            if asked:
                raise
            progress(
                f"no real node, so nothing runs in pods: {error.faults[0].what}\n"
                "  `python3 -m llmos cluster up --real-node` tries again"
            )
            self.leave(progress=progress)
            return False
        self._reserve(real=True)
        return True

    def leave(self, *, beyond: int = 0, progress: Progress = note) -> None:
        """Take those with higher numbers out of the cluster and off the machine. Where others stay, pods move there
        first; else they go back to simulated nodes.

        Args:
            beyond: how many stay.
            progress: receives what is being done.
        """
        for layout in reversed(leaving := [one for one in begun(self._layouts) if one.number > beyond]):
            if beyond:
                progress(f"draining node {layout.name} ...")
                join.drain(layout, kubectl=self._kubectl)
            join.forget(layout, kubectl=self._kubectl)
            removal.remove(layout)
        if leaving and beyond:
            addons.apply(self._layouts[0], nodes=beyond, kubectl=self._kubectl)
        elif leaving:
            self._reserve(real=False)

    def are_up(self, layouts: Sequence[Layout]) -> bool:
        """Whether all their processes run and the cluster finds them Ready."""
        return all(process.running for process in processes(layouts)) and self._ready(layouts)

    def _ready(self, layouts: Sequence[Layout]) -> bool:
        found = readiness(kubectl=self._kubectl, kubeconfig=self._kubeconfig) or {}
        return all(found.get(layout.name) for layout in layouts)

    def _wait(self, layouts: Sequence[Layout]) -> None:
        stopped: list[str] = []

        def over() -> bool:
            stopped[:] = [process.name for process in processes(layouts) if not process.running]
            return bool(stopped) or self._ready(layouts)

        if wait_until(over, timeout_seconds=_READY_SECONDS) and not stopped:
            return
        name = next(iter(stopped), layouts[-1].component("kubelet"))
        log = layouts[0].logs / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
        said = "".join(f"\n    {line[:300]}" for line in lines[-4:])
        what = f"{name} of the real node ended:{said}"
        if name not in stopped:
            what = f"the real node is not Ready after {_READY_SECONDS} s; its kubelet says:{said}"
        where = f"real node of cluster `{self._name}`"
        raise EnvironmentFault(Fault(what=what, where=where, fix=f"read the logs in {log.parent}"))

    def _reserve(self, *, real: bool) -> None:
        """Keep pods without GPUs off the simulated nodes while there is a real one, and move those that are there."""
        words = ["taint", "nodes", *contents.BASE_NODES]
        taint = f"{contents.SIMULATED_LABEL}=true:NoExecute" if real else f"{contents.SIMULATED_LABEL}:NoExecute-"
        command = [self._kubectl, "--kubeconfig", self._kubeconfig, *words, taint]
        run([*command, *(["--overwrite"] if real else [])], check=real)
