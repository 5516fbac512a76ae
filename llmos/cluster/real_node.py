"""The real nodes of an embedded cluster, as the cluster sees them: how many to have, and their state.

How they join is in :mod:`llmos.cluster.node`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from llmos.cluster.networks import NODES_MAX, Network
from llmos.cluster.node import group, removal
from llmos.cluster.node.group import RealNodes
from llmos.cluster.node.layout import Layout, begun, layouts
from llmos.cluster.processes import ProcessState
from llmos.cluster.record import Record, cluster_folder
from planner.faults import Fault, UserFault

__all__ = ["enforcement", "layout_of", "layouts_of", "processes", "remove", "require_sense", "settle"]

Progress = Callable[[str], None]
_NO_NETWORK = Network(cidr="0.0.0.0/22")


def require_sense(real: bool | None, count: int | None) -> None:
    """Refuse a number of real nodes that cannot be, or that contradicts whether there are to be any.

    Raises:
        UserFault: says what can be.
    """
    if count is None:
        return
    if not 0 <= count <= NODES_MAX:
        nearest = f"--real-nodes {min(max(count, 0), NODES_MAX)}"
        what = f"a cluster has from 0 to {NODES_MAX} real nodes, not {count}"
        raise UserFault(Fault(what=what, where="--real-nodes", nearest=nearest, fix=nearest))
    if real is not None and real is not bool(count):
        what = f"`{'--real-node' if real else '--no-real-node'}` and `--real-nodes {count}` contradict each other"
        raise UserFault(Fault(what=what, where="--real-nodes", fix="leave one of them out"))


def settle(
    name: str, record: Record, *, real: bool | None, count: int | None, install: bool, progress: Progress
) -> Record:
    """Bring a cluster's real nodes to what is wanted.

    Args:
        name: cluster name.
        record: what is remembered of it; its API server must answer.
        real: whether to have any; None keeps what there is, and takes one where that is open and this machine can.
        count: how many; None keeps what there is.
        install: whether missing packages and programs may be installed.
        progress: receives what is being done.

    Returns:
        The record with what came of it.
    """
    nodes = RealNodes(
        cluster_folder(name), network=record.network, kubectl=record.binaries.kubectl,
        api_port=record.ports.kube_apiserver,
    )  # fmt: skip
    wanted = count if count is not None else record.real_nodes
    if count is None and real is not None:
        wanted = (wanted or 1) if real else 0
    has = 1 if wanted is None else wanted
    nodes.leave(beyond=has, progress=progress)
    if has and not nodes.ensure(has, asked=wanted is not None, install=install, progress=progress):
        has = 0
    if record.real_nodes != has:
        record = replace(record, real_nodes=has)
        record.write(name)
    return record


def processes(name: str) -> tuple[ProcessState, ...]:
    """The state of each process of a cluster's real nodes; nothing where there are none."""
    return group.processes(layouts_of(name))


def enforcement(name: str) -> str:
    """Whether network policies are enforced on a cluster's real nodes, in words."""
    layouts = layouts_of(name)
    if without := [layout.name for layout in layouts if not layout.enforces_policies]:
        return f"not enforced on {', '.join(without)}: this kernel hands no packets to an enforcer (NFQUEUE)"
    stopped = [process.name for process in processes(name) if "policies" in process.name and not process.running]
    if stopped:
        what = f"{', '.join(stopped)} is stopped, so pods of its node get no new connections"
        return f"{what}; `python3 -m llmos cluster up` starts it"
    return f"enforced on the real node{'s' if len(layouts) > 1 else ''}"


def remove(name: str) -> None:
    """Take a cluster's real nodes off the machine: processes, mounts, interfaces, rules, control groups and files.

    It works without the API server, and also on what an interrupted command left.
    """
    for layout in reversed(layouts_of(name)):
        removal.remove(layout)


def layouts_of(name: str) -> list[Layout]:
    """Where a cluster's real nodes are, those included whose making was begun only."""
    return begun(_layouts(name))


def layout_of(name: str) -> Layout:
    """Where a cluster's first real node is, or would be."""
    return _layouts(name)[0]


def _layouts(name: str) -> list[Layout]:
    folder, record = cluster_folder(name), Record.read(name)
    # Without a record only names matter, for taking them down; they come from the folder.
    return layouts(folder, record.network if record else _NO_NETWORK)
