"""The address range of a cluster: derived from its folder, so that two clusters of one machine do not meet."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from llmos.process import run
from planner.faults import EnvironmentFault, Fault

__all__ = ["Network", "choose_network"]

# Private addresses (RFC 1918) that neither Docker (172.17 and up), nor common clusters (10.0, 10.42 to 10.43, 10.96,
# 10.244), nor the bridge of our own Docker engine (10.213) take: room for 512 clusters.
_POOL = ipaddress.ip_network("10.224.0.0/13")
_PREFIX = 22


@dataclass(frozen=True, kw_only=True)
class Network:
    """The addresses of one cluster: 254 Services, 253 pods on its real node, and the link between node and machine.

    Attributes:
        cidr: the whole range.
    """

    cidr: str

    @property
    def services(self) -> ipaddress.IPv4Network:
        return self._part(0)

    @property
    def pods(self) -> ipaddress.IPv4Network:
        return self._part(1)

    @property
    def link(self) -> ipaddress.IPv4Network:
        return next(self._part(2).subnets(new_prefix=30))

    @property
    def host_address(self) -> str:
        """The machine's end of the link to the node."""
        return str(self.link[1])

    @property
    def node_address(self) -> str:
        """The node's end of that link, and so the node's address in the cluster."""
        return str(self.link[2])

    @property
    def api_address(self) -> str:
        """Cluster address of the Service `kubernetes`, which the API server always gives to itself."""
        return str(self.services[1])

    @property
    def dns_address(self) -> str:
        """Cluster address of the name service; the tenth by convention."""
        return str(self.services[10])

    def _part(self, number: int) -> ipaddress.IPv4Network:
        return list(ipaddress.IPv4Network(self.cidr).subnets(new_prefix=24))[number]


def choose_network(folder: Path, *, reserved: Collection[str] = ()) -> Network:
    """The first free range, beginning where the name of the cluster's folder points to.

    Args:
        folder: the cluster's folder.
        reserved: ranges of other clusters of this user, which may be stopped at the moment.

    Raises:
        EnvironmentFault: every range is taken.
    """
    subnets = list(_POOL.subnets(new_prefix=_PREFIX))
    start = int(hashlib.sha256(str(folder.resolve()).encode()).hexdigest(), 16) % len(subnets)
    taken = [ipaddress.ip_network(cidr) for cidr in reserved] + _routes()
    for subnet in subnets[start:] + subnets[:start]:
        if not any(subnet.overlaps(other) for other in taken):
            return Network(cidr=str(subnet))
    what = f"no free network is left in {_POOL} for the cluster"
    raise EnvironmentFault(Fault(what=what, where=str(folder), fix="take down clusters that nobody needs any more"))


def _routes() -> list[ipaddress.IPv4Network]:
    """What this machine routes already; nothing where there is no `ip` to ask, as on macOS."""
    if shutil.which("ip") is None:
        return []
    done = run(["ip", "-json", "-4", "route", "show", "table", "all"], check=False)
    routes = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    return [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
