"""The address range of a cluster: derived from its folder, so that two clusters of one machine do not meet."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from llmos.routes import routes
from planner.faults import EnvironmentFault, Fault

__all__ = ["NODES_MAX", "Network", "NodeNetwork", "choose_network"]

NODES_MAX = 4
"""Real nodes that a cluster's range has room for."""

# Private addresses (RFC 1918) that neither Docker (172.17 and up), nor common clusters (10.0, 10.42 to 10.43, 10.96,
# 10.244), nor the bridge of our own Docker engine (10.213) take: room for 512 clusters.
_POOL = ipaddress.ip_network("10.224.0.0/13")
_PREFIX = 22


@dataclass(frozen=True, kw_only=True)
class NodeNetwork:
    """The addresses of one real node.

    Attributes:
        pods: of its pods; room for at least the 110 of a kubelet.
        link: between node and machine.
    """

    pods: ipaddress.IPv4Network
    link: ipaddress.IPv4Network

    @property
    def host_address(self) -> str:
        """The machine's end of the link."""
        return str(self.link[1])

    @property
    def node_address(self) -> str:
        """The node's end of the link, and so the node's address in the cluster."""
        return str(self.link[2])


@dataclass(frozen=True, kw_only=True)
class Network:
    """The addresses of one cluster: 254 Services, and the pods and links of its real nodes.

    Attributes:
        cidr: the whole range.
    """

    cidr: str

    @property
    def whole(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.cidr)

    @property
    def services(self) -> ipaddress.IPv4Network:
        return self._part(0)

    def node(self, number: int) -> NodeNetwork:
        """The addresses of a real node, of which the first has number 1."""
        links, *_, last = self._part(2).subnets(new_prefix=25)
        pods = (self._part(1), *self._part(3).subnets(new_prefix=25), last)
        return NodeNetwork(pods=pods[number - 1], link=list(links.subnets(new_prefix=30))[number - 1])

    @property
    def host_address(self) -> str:
        """Where nodes and pods reach the API server: the machine's end of the first node's link."""
        return self.node(1).host_address

    @property
    def api_address(self) -> str:
        """Cluster address of the Service `kubernetes`, which the API server always gives to itself."""
        return str(self.services[1])

    @property
    def dns_address(self) -> str:
        """Cluster address of the name service; the tenth by convention."""
        return str(self.services[10])

    def _part(self, number: int) -> ipaddress.IPv4Network:
        return list(self.whole.subnets(new_prefix=24))[number]


def choose_network(folder: Path, *, reserved: Collection[str] = ()) -> Network:
    """The first free range, beginning where the name of the cluster's folder points to.

    Args:
        folder: the cluster's folder.
        reserved: ranges of other clusters of this user, which may be stopped at the moment.

    Raises:
        EnvironmentFault: every range is taken.
    """
    subnets = list(_POOL.subnets(new_prefix=_PREFIX))
    start = _start(folder, len(subnets))
    taken = [ipaddress.ip_network(cidr) for cidr in reserved] + [network for _, network in routes()]
    for subnet in subnets[start:] + subnets[:start]:
        if not any(subnet.overlaps(other) for other in taken):
            return Network(cidr=str(subnet))
    what = f"no free network is left in {_POOL} for the cluster"
    raise EnvironmentFault(Fault(what=what, where=str(folder), fix="take down clusters that nobody needs any more"))


def _start(folder: Path, count: int) -> int:
    return int(hashlib.sha256(str(folder.resolve()).encode()).hexdigest(), 16) % count
