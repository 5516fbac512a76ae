"""Names, paths and addresses of a cluster's real node; all derived, so that a later command finds everything again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from llmos.cluster.networks import Network

__all__ = ["MARK", "NODE_NAME", "Layout"]

NODE_NAME = "real"
"""Name of the node in the cluster, beside `simulated-...`."""

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
    """

    cluster: Path
    network: Network

    @property
    def folder(self) -> Path:
        """Images, containers, volumes and configuration; deleted with the node."""
        return self.cluster / "node"

    @property
    def mark(self) -> str:
        """Name of what exists outside the folder: interface, control group, comment of the machine's rules."""
        return f"{MARK}{hashlib.sha256(str(self.cluster.resolve()).encode()).hexdigest()[:8]}"

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
    def addresses(self) -> Path:
        """Which addresses pods have."""
        return self.folder / "cni/addresses"

    @property
    def volumes(self) -> Path:
        """One folder for each persistent volume that a pod here has mounted."""
        return self.folder / "volumes"

    @property
    def pod_logs(self) -> Path:
        return self.folder / "pod-logs"

    @property
    def logs(self) -> Path:
        """Logs of the node's programs, beside those of the control plane."""
        return self.cluster / "logs"

    def link(self, program: str) -> Path:
        """The link through which a program is started; it identifies the process later."""
        return self.cluster / "bin" / program

    def fits(self) -> bool:
        """Whether the paths of sockets are short enough."""
        return len(str(self.folder)) + _LONGEST_SOCKET <= 107
