"""The network bridge of a Docker engine of our own, with addresses that nothing else on the machine has."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from llmos.daemons import locked
from llmos.process import run
from llmos.routes import ip_program, routes
from planner.faults import EnvironmentFault, Fault

__all__ = ["add", "delete"]

_WHERE = "Docker engine of our own"
_POOL = ipaddress.ip_network("10.213.0.0/16")
# Of the machine, not of a cache folder.
_LOCK = Path("/run/llmos-bridges.lock")


def add(name: str, *, lock: Path = _LOCK) -> None:
    """Have the bridge, up, with a network that nothing else on this machine has.

    Engines of other cache folders choose theirs at the same time, and one that was killed leaves its bridge; of two
    bridges with one network, the containers of the second would never be reached.

    Raises:
        EnvironmentFault: every network is taken, or this machine may not create bridges.
    """
    with locked(lock):
        found = routes()
        ours = [network for device, network in found if device == name]
        others = [network for device, network in found if device != name]
        if ours and not any(one.overlaps(other) for one in ours for other in others):
            return
        delete(name)
        subnet = next((one for one in _POOL.subnets(new_prefix=24) if not any(map(one.overlaps, others))), None)
        if subnet is None:
            what = f"no free network is left in {_POOL} for the bridge of our Docker engine"
            raise EnvironmentFault(Fault(what=what, where=_WHERE, fix="start the machine's own Docker engine instead"))
        _ip("link", "add", name, "type", "bridge")
        _ip("address", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", name)
        _ip("link", "set", name, "up")


def delete(name: str) -> bool:
    """Delete it; False when there was none."""
    existed = Path("/sys/class/net", name).exists()
    if existed:
        _ip("link", "delete", name)
    return existed


def _ip(*arguments: str) -> None:
    run([ip_program() or "ip", *arguments], where=_WHERE, fix="check that this machine may create network bridges")
