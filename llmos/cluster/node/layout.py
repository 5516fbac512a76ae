"""Names, paths and addresses of a real node; all derived, so that a later command finds everything again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmos.cluster.networks import NODES_MAX, Network, NodeNetwork
from llmos.cluster.processes import node_components

__all__ = ["MARK", "NODE_NAME", "NODE_NAMES", "Layout", "begun", "layouts"]

NODE_NAME = "real"
"""Name of the first node in the cluster, beside `simulated-...`."""

NODE_NAMES = (NODE_NAME, *(f"{NODE_NAME}-{number}" for number in range(2, NODES_MAX + 1)))
"""Names of all that there may be."""

MARK = "llmosn"
"""Beginning of the names of interfaces and control groups of real nodes."""

# A Unix socket's path has at most 107 characters; the longest of ours below the node's folder is the kubelet's.
_LONGEST_SOCKET = len("/kubelet/device-plugins/kubelet.sock")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything of the node is.

    Attributes:
        cluster: the cluster's folder.
        network: the cluster's addresses.
        number: which of its real nodes, from 1.
    """

    cluster: Path
    network: Network
    number: int = 1

    @property
    def name(self) -> str:
        """Of the node in the cluster."""
        return NODE_NAMES[self.number - 1]

    @property
    def addresses(self) -> NodeNetwork:
        """The node's part of the network."""
        return self.network.node(self.number)

    @property
    def folder(self) -> Path:
        """Images, containers and configuration; deleted with the node."""
        return self.cluster / f"node{self._suffix}"

    @property
    def mark(self) -> str:
        """Name of what exists outside the folder: interface, control group, comment of the machine's rules."""
        whose = self.cluster if self.number == 1 else self.folder
        return f"{MARK}{hashlib.sha256(str(whose.resolve()).encode()).hexdigest()[:8]}"

    @property
    def netns(self) -> Path:
        """The network namespace, held open by a mount on this file."""
        return self.folder / "netns"

    @property
    def inside(self) -> list[str]:
        """The words before a command that make it run in the node's network namespace."""
        return ["nsenter", f"--net={self.netns}", "--"]

    @property
    def containerd_socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def containerd_root(self) -> Path:
        return self.folder / "containerd"

    @property
    def containerd_state(self) -> Path:
        return self.folder / "run"

    @property
    def runc_root(self) -> Path:
        return self.folder / "runc"

    @property
    def kubelet_root(self) -> Path:
        return self.folder / "kubelet"

    @property
    def given_addresses(self) -> Path:
        """Which addresses pods have."""
        return self.folder / "cni/addresses"

    @property
    def volumes(self) -> Path:
        """One folder for each persistent volume that a pod has mounted. All nodes have the same, those of the first: a
        pod that moves finds its data."""
        return self.cluster / "node" / "volumes"

    @property
    def pod_logs(self) -> Path:
        return self.folder / "pod-logs"

    @property
    def logs(self) -> Path:
        """Logs of the node's programs, beside those of the control plane."""
        return self.cluster / "logs"

    def link(self, program: str) -> Path:
        """The link through which a program is started; it identifies the process later."""
        return self.cluster / "bin" / self.component(program)

    def component(self, program: str) -> str:
        """What the node's process of a program is called, e.g. ``kubelet-2``."""
        return f"{program}{self._suffix}"

    @property
    def components(self) -> tuple[str, ...]:
        """All its processes, those left out that this machine's kernel has no use for."""
        left_out = () if self.enforces_policies else (self.component("kube-network-policies"),)
        return tuple(name for name in node_components(self.number) if name not in left_out)

    @property
    def unenforced(self) -> Path:
        """A file that is there where the kernel hands no packets to the enforcer of network policies; says why."""
        return self.folder / "policies-not-enforced"

    @property
    def enforces_policies(self) -> bool:
        return not self.unenforced.is_file()

    def fits(self) -> bool:
        """Whether the paths of sockets are short enough."""
        return len(str(self.folder)) + _LONGEST_SOCKET <= 107

    @property
    def _suffix(self) -> str:
        return "" if self.number == 1 else f"-{self.number}"


def layouts(folder: Path, network: Network) -> list[Layout]:
    """Of all nodes that the cluster in a folder may have."""
    return [Layout(cluster=folder, network=network, number=number) for number in range(1, NODES_MAX + 1)]


def begun(layouts: Sequence[Layout]) -> list[Layout]:
    """Those of which there is something."""
    return [layout for layout in layouts if layout.folder.is_dir()]
