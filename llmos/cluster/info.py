"""What a caller learns about a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmos.cluster.processes import ProcessState

__all__ = ["NOT_ENFORCED", "ClusterInfo", "ClusterStatus"]

NOT_ENFORCED = "not enforced on simulated nodes"


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
        real_nodes: names of the real nodes beside simulated ones.
        network_policies: whether they are enforced, in words; empty where this program does not know.
    """

    name: str
    context: str
    kubeconfig: Path
    kubectl: Path
    api_url: str
    simulated: bool = True
    real_nodes: tuple[str, ...] = ()
    network_policies: str = ""

    @property
    def real_node(self) -> bool:
        """Whether there is a real node beside simulated ones."""
        return bool(self.real_nodes)

    def __str__(self) -> str:
        kind = "simulated nodes: pods become Ready, nothing runs in them" if self.simulated else "real nodes"
        if self.real_node:
            number = "a real node" if len(self.real_nodes) == 1 else f"real nodes {', '.join(self.real_nodes)}"
            kind = f"{number} beside simulated ones: pods without GPUs really run"
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
        real_ready: each real node and whether it is Ready; empty likewise.
        info: how to reach it; None when it was not created completely.
    """

    name: str
    exists: bool
    processes: tuple[ProcessState, ...] = ()
    nodes_ready: int | None = None
    nodes: int | None = None
    real_ready: Mapping[str, bool] = field(default_factory=dict)
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
            real_ready={} if nodes is None else {name: nodes.get(name, False) for name in info.real_nodes},
            info=info,
        )

    @property
    def running(self) -> bool:
        """Whether every process runs and the API server answers."""
        return self.exists and self.nodes is not None and all(process.running for process in self.processes)

    def __str__(self) -> str:
        if not self.exists:
            return f"cluster `{self.name}`: not created; `python3 -m llmos cluster up` creates it"
        stopped = ", ".join(process.name for process in self.processes if not process.running)
        incomplete = f"incomplete{f' ({stopped} stopped)' if stopped else ''}"
        state = "running" if self.running else f"{incomplete}; `python3 -m llmos cluster up` restarts what is missing"
        lines = [f"cluster `{self.name}`: {state}", *(f"  {process}" for process in self.processes)]
        if self.info is not None:
            simulated = " (simulated)" if self.info.simulated else ""
            real = "one" if len(self.info.real_nodes) == 1 else len(self.info.real_nodes)
            simulated = f" ({real} real, the others simulated)" if self.info.real_node else simulated
            nodes = f"{self.nodes_ready} of {self.nodes} Ready{simulated}"
            lines.append(f"  {'nodes':<24} {'API server does not answer' if self.nodes is None else nodes}")
            if self.real_ready:
                each = (f"{name} {'Ready' if ready else 'not Ready'}" for name, ready in self.real_ready.items())
                lines.append(f"  {'real nodes':<24} {', '.join(each)}")
            lines.append(f"  {'kubeconfig':<24} {self.info.kubeconfig} (context {self.info.context})")
        return "\n".join(lines)
