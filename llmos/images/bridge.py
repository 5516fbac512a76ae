"""The network bridge of a Docker engine of our own, with addresses that nothing else on the machine has."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
from pathlib import Path

from llmos.daemons import locked
from llmos.process import run
from planner.faults import EnvironmentFault, Fault

__all__ = ["add", "delete", "find", "search_path"]

_WHERE = "Docker engine of our own"
_POOL = ipaddress.ip_network("10.213.0.0/16")
# Of the machine, not of a cache folder.
_LOCK = Path("/run/llmos-bridges.lock")
_ADMIN_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))


def search_path() -> str:
    """PATH with the folders of administration programs, which a user's PATH often lacks."""
    return os.pathsep.join((os.environ.get("PATH", ""), _ADMIN_PATH))


def find(program: str) -> str | None:
    return shutil.which(program, path=search_path())


def add(name: str, *, lock: Path = _LOCK) -> None:
    """Have the bridge, up, with a network that nothing else on this machine has.

    Engines of other cache folders choose theirs at the same time, and one that was killed leaves its bridge; of two
    bridges with one network, the containers of the second would never be reached.

    Raises:
        EnvironmentFault: every network is taken, or this machine may not create bridges.
    """
    with locked(lock):
        ours, others = _networks(name)
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


def _networks(name: str) -> tuple[list[ipaddress.IPv4Network], list[ipaddress.IPv4Network]]:
    """What this machine routes to the bridge, and what it routes elsewhere."""
    ours, others = [], []
    for route in json.loads(_ip("-json", "-4", "route", "show", "table", "all")):
        if route["dst"] != "default":
            network = ipaddress.ip_network(route["dst"], strict=False)
            (ours if route.get("dev") == name else others).append(network)
    return ours, others


def _ip(*arguments: str) -> str:
    fix = "check that this machine may create network bridges"
    return run([find("ip") or "ip", *arguments], where=_WHERE, fix=fix).stdout
