"""Free TCP ports for a cluster that must find them free again after a restart."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from planner.faults import EnvironmentFault, Fault

__all__ = ["choose", "is_free"]

# Below 32768, where Linux begins to hand out ports for outgoing connections: those could take one while we restart.
_RANGE = range(20_000, 32_768)


def choose(count: int, *, reserved: Collection[int] = ()) -> list[int]:
    """Choose ports on loopback that nobody listens on.

    The order is random, so that two users of one machine who start at the same moment do not meet.

    Args:
        count: how many, all different.
        reserved: ports of other clusters of this user, which may be stopped at the moment.

    Raises:
        EnvironmentFault: there are not that many.
    """
    chosen: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        if len(chosen) == count:
            break
        if port not in reserved and is_free(port):
            chosen.append(port)
    if len(chosen) < count:
        what = f"needed {count} free TCP ports between {_RANGE.start} and {_RANGE.stop - 1}, found {len(chosen)}"
        raise EnvironmentFault(Fault(what=what, where="127.0.0.1", fix="stop programs that listen on those ports"))
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers themselves do; without it a port in TIME_WAIT would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
