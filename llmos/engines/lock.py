"""One run at a time on a stack: a Lease in the stack's namespace, so that it holds between machines.

It is taken and renewed over the version that was read before, so the API server lets only one of two win. A run that
was killed loses it by itself: at once when the next run is on the same machine and sees that the process is gone, else
when it has not been renewed for its duration. A run that loses it stops before it writes anything more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from llmos.engines.base import Progress
from llmos.engines.held import DEFAULT_TIMING, Held, Timing, held_fault
from llmos.engines.holder import Holder
from llmos.engines.lease import LeaseStore
from llmos.kube import Kube
from planner.faults import EnvironmentFault, Fault

__all__ = ["Held", "Holder", "Timing", "hold", "holder_of", "refuse_if_held", "unlock"]


def holder_of(kube: Kube, *, stack: str, namespace: str) -> Holder | None:
    """Who holds the stack now; None when nobody does, or only a run that is known to be dead."""
    lease = LeaseStore(kube=kube, stack=stack, namespace=namespace).read()
    holder = Holder.of(lease) if lease else None
    return None if holder is None or holder.died_here else holder


def refuse_if_held(kube: Kube, *, stack: str, namespace: str) -> None:
    """Refuse early, before minutes of building, what :func:`hold` would refuse; takes nothing."""
    holder = holder_of(kube, stack=stack, namespace=namespace)
    if holder is not None and holder.expires_in(datetime.now(UTC)) > 0:
        raise EnvironmentFault(held_fault(holder, LeaseStore(kube=kube, stack=stack, namespace=namespace)))


def unlock(kube: Kube, *, stack: str, namespace: str) -> Holder | None:
    """Break the lock and return whose it was; None when there was none. A run that still works stops by itself.

    Raises:
        EnvironmentFault: the holder is alive on this machine.
    """
    store = LeaseStore(kube=kube, stack=stack, namespace=namespace)
    lease = store.read()
    if lease is None:
        return None
    holder = Holder.of(lease)
    if holder is not None and holder.lives_here:
        what = f"the run that holds the stack is alive on this machine: {holder}"
        fix = f"end process {holder.pid}; the next `up` then goes on at once, without this command"
        raise EnvironmentFault(Fault(what=what, where=store.where, fix=fix))
    store.delete(lease)
    return holder


@contextmanager
def hold(
    kube: Kube, *, stack: str, namespace: str, command: str, progress: Progress, timing: Timing = DEFAULT_TIMING
) -> Iterator[Held]:
    """Hold the stack while the block runs. The namespace must exist.

    Args:
        kube: the cluster.
        stack: stack name.
        namespace: the stack's namespace.
        command: what is being done, for others who are refused, e.g. ``up --stack dev``.
        progress: is told when a dead run's lock is taken over.
        timing: how long the lock lasts without a renewal.

    Raises:
        EnvironmentFault: another run holds it, and how to break its lock; or the lock was lost while the block ran.
    """
    held = Held(LeaseStore(kube=kube, stack=stack, namespace=namespace), command=command, timing=timing)
    held.take(progress)
    try:
        yield held
    finally:
        held.release()
