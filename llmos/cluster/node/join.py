"""Letting a real node join its cluster."""

from __future__ import annotations

from pathlib import Path

from llmos.cluster.binaries import NodeBinaries
from llmos.cluster.node import addons, agents, cgroups, links, removal, runtime, settings
from llmos.cluster.node.layout import Layout
from llmos.cluster.processes import states
from llmos.process import run

__all__ = ["drain", "ensure_running", "forget"]

# Time for open streams to end; a budget that allows nothing must not keep a node forever.
_DRAIN_SECONDS = 180


def ensure_running(layout: Layout, *, nodes: int, binaries: NodeBinaries, kubectl: Path, api_port: int) -> None:
    """Make the node, or start what of it does not run; the API server must answer.

    Args:
        layout: where everything of it is.
        nodes: how many real nodes the cluster is to have.
        binaries: the programs.
        kubectl: to apply what the cluster itself runs on the node.
        api_port: the API server's port on loopback.

    Raises:
        EnvironmentFault: a program ended, or the machine refused something; says what.
    """
    layout.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    if not links.exist(layout):
        removal.clear(layout)
    settings.keep()
    cgroups.create(layout.mark)
    links.add(layout)
    agents.configure(layout, api_port=api_port)
    runtime.start(layout)
    addons.put_images(layout, binaries=binaries)
    addons.apply(layout, nodes=nodes, kubectl=kubectl)
    made = agents.daemons(layout, binaries=binaries, api_port=api_port)
    # Also those whose record an interrupted command did not come to write.
    found = states(layout.cluster, components=[daemon.name for daemon in made])
    alive = {state.name for state in found if state.running}
    for daemon in made:
        if daemon.name not in alive:
            daemon.start()


def drain(layout: Layout, *, kubectl: Path) -> None:
    """Let its pods go as disruption budgets allow; what did not go in time is lost with the node."""
    command = [kubectl, "--kubeconfig", layout.cluster / "kubeconfig.yaml", "drain", layout.name]
    words = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", f"--timeout={_DRAIN_SECONDS}s"]
    run([*command, *words], check=False)


def forget(layout: Layout, *, kubectl: Path) -> None:
    """Delete the node from the cluster, which then moves its pods; the machine's side is `removal`."""
    command = [kubectl, "--kubeconfig", layout.cluster / "kubeconfig.yaml"]
    run([*command, "delete", "node", layout.name, "--ignore-not-found"])
