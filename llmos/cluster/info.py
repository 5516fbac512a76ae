"""What a caller learns about a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmos.cluster.processes import ProcessState

__all__ = ["ClusterInfo", "ClusterStatus"]


@dataclass(frozen=True, kw_only=True)
class ClusterInfo:
    """How to reach a cluster.

    Attributes:
        name: cluster name.
        context: the context in ``kubeconfig``.
        kubeconfig: a file of its own, never the user's.
        kubectl: a kubectl that suits the server.
        api_url: address of the API server.
        simulated: whether all nodes, and so everything that runs on them, are simulated.
        real_node: whether there is a real node beside simulated ones.
    """

    name: str
    context: str
    kubeconfig: Path
    kubectl: Path
    api_url: str
    simulated: bool = True
    real_node: bool = False

    def __str__(self) -> str:
        kind = "simulated nodes: pods become Ready, nothing runs in them" if self.simulated else "real nodes"
        if self.real_node:
            kind = "a real node beside simulated ones: pods without GPUs really run"
        return (
            f"cluster `{self.name}` at {self.api_url} ({kind})\n"
            f"  {self.kubectl} --kubeconfig {self.kubeconfig} get pods -A"
        )


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """What there is of a cluster.

    Attributes:
        name: cluster name.
        exists: whether its creation was at least begun, and it was not taken down since.
        processes: each of its processes on this machine, running or not; empty for kind, whose run in containers.
        nodes_ready: nodes that are Ready; None when the API server does not answer.
        nodes: all nodes; None likewise.
        info: how to reach it; None when it was not created completely.
    """

    name: str
    exists: bool
    processes: tuple[ProcessState, ...] = ()
    nodes_ready: int | None = None
    nodes: int | None = None
    info: ClusterInfo | None = None

    @classmethod
    def of(
        cls, nodes: Mapping[str, bool] | None, *, info: ClusterInfo, processes: tuple[ProcessState, ...] = ()
    ) -> ClusterStatus:
        """The status of a cluster that was created; ``nodes`` says of each whether it is Ready."""
        return cls(
            name=info.name,
            exists=True,
            processes=processes,
            nodes=None if nodes is None else len(nodes),
            nodes_ready=None if nodes is None else sum(nodes.values()),
            info=info,
        )

    @property
    def running(self) -> bool:
        """Whether every process runs and the API server answers."""
        return self.exists and self.nodes is not None and all(process.running for process in self.processes)

    def __str__(self) -> str:
        if not self.exists:
            return f"cluster `{self.name}`: not created; `python3 -m llmos cluster up` creates it"
        state = "running" if self.running else "incomplete; `python3 -m llmos cluster up` restarts what is missing"
        lines = [f"cluster `{self.name}`: {state}", *(f"  {process}" for process in self.processes)]
        if self.info is not None:
            simulated = " (simulated)" if self.info.simulated else ""
            simulated = " (one real, the others simulated)" if self.info.real_node else simulated
            nodes = f"{self.nodes_ready} of {self.nodes} Ready{simulated}"
            lines.append(f"  {'nodes':<24} {'API server does not answer' if self.nodes is None else nodes}")
            lines.append(f"  {'kubeconfig':<24} {self.info.kubeconfig} (context {self.info.context})")
        return "\n".join(lines)
