"""Which cluster of this machine has which range of addresses, whatever cache folder it is in: two that are created at
once do not get the same, and a stopped one keeps its own."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from llmos.cluster.networks import Network, choose_network
from llmos.daemons import locked
from llmos.files import write_whole
from llmos.routes import routes
from planner.faults import EnvironmentFault, Fault

__all__ = ["claim", "hold", "release"]

# Gone at a restart, as routes are. Only root can have real nodes, and only real nodes have routes.
_CLAIMS = Path("/run/llmos-networks.json")


def claim(folder: Path, *, reserved: Collection[str] = ()) -> Network:
    """Choose a range that no other cluster has, and keep it for as long as the cluster's folder exists.

    Args:
        folder: the cluster's folder; made, where it is not there.
        reserved: ranges of other clusters of this user.

    Raises:
        EnvironmentFault: every range is taken.
    """
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    with _held() as held:
        others = [cidr for cidr, owner in held.items() if owner != _key(folder)]
        network = choose_network(folder, reserved=[*reserved, *others])
        held[network.cidr] = _key(folder)
        return network


def hold(network: Network, folder: Path, *, devices: Collection[str]) -> None:
    """Keep a range that was chosen long ago, before routes to it are made.

    Args:
        network: the cluster's range.
        folder: the cluster's folder.
        devices: names of the cluster's own interfaces, whose routes are none of another's.

    Raises:
        EnvironmentFault: somebody else has the range by now.
    """
    with _held() as held:
        by = held.get(network.cidr, _key(folder))
        # A wider one, as of a VPN that takes all private addresses, gives way to those of the node.
        if any(route.subnet_of(network.whole) for device, route in routes() if device not in devices):
            by = "a route of this machine"
        if by != _key(folder):
            what = f"the addresses of this cluster, {network.cidr}, belong to {by} by now"
            fix = "`python3 -m llmos cluster down` and `up`, which chooses others"
            raise EnvironmentFault(Fault(what=what, where=f"real node of cluster `{folder.name}`", fix=fix))
        held[network.cidr] = _key(folder)


def release(folder: Path) -> None:
    """Forget what a cluster has, whose folder is gone."""
    with _held() as held:
        for cidr in [cidr for cidr, owner in held.items() if owner == _key(folder)]:
            del held[cidr]


@contextmanager
def _held() -> Iterator[dict[str, str]]:
    """Range to folder of all clusters there are, alone with them; written back when the caller is done."""
    if not os.access(_CLAIMS.parent, os.W_OK):
        yield {}
        return
    with locked(_CLAIMS.with_suffix(".lock")):
        try:
            found = json.loads(_CLAIMS.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            found = {}
        held = {cidr: owner for cidr, owner in found.items() if Path(owner).is_dir()}
        yield held
        if held:
            write_whole(_CLAIMS, json.dumps(held, indent=1) + "\n")
        else:
            _CLAIMS.unlink(missing_ok=True)


def _key(folder: Path) -> str:
    return str(folder.resolve())
