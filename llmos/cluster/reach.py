"""The embedded cluster as a command on a stack finds it."""

from __future__ import annotations

from llmos.cluster.info import ClusterInfo
from llmos.console import note, warn
from planner.machine import local_cluster

__all__ = ["reach"]


def reach(*, start: bool, install: bool) -> ClusterInfo | None:
    """The embedded cluster; None when its API server does not answer.

    Args:
        start: start what of it does not run; otherwise that is said, where the API server answers all the same.
        install: whether missing programs may be installed.
    """
    # Commands on other targets do without the time that importing it takes.
    from llmos.cluster import embedded

    if start:
        return embedded.up(name=local_cluster(), install=install, progress=note)
    status = embedded.status(name=local_cluster())
    if status.nodes is None:
        return None
    if not status.running:
        stopped = ", ".join(process.name for process in status.processes if not process.running)
        warn(f"of cluster `{status.name}` {stopped} stopped; `python3 -m llmos cluster up` starts what is missing")
    return status.info
