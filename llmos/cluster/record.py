"""What is remembered of a cluster between commands: its ports, its programs, and whether its creation was finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from llmos.cluster.binaries import Binaries
from llmos.cluster.claims import claim
from llmos.cluster.control_plane import Ports
from llmos.cluster.locks import exclusive
from llmos.cluster.networks import Network
from llmos.cluster.ports import choose
from llmos.files import write_whole
from llmos.paths import cache_dir

__all__ = ["Record", "cluster_folder"]


def cluster_folder(name: str) -> Path:
    """The one folder of a cluster; kwokctl derives the same path from its working directory."""
    return cache_dir() / "clusters" / name


@dataclass(frozen=True, kw_only=True)
class Record:
    """Written when ports are chosen, and again once the cluster was created completely.

    Attributes:
        ports: where everything listens.
        network: its addresses.
        binaries: its programs.
        complete: whether its creation was finished.
        real_nodes: how many real nodes belong to it; None while nobody has said.
    """

    ports: Ports
    network: Network
    binaries: Binaries
    complete: bool = False
    real_nodes: int | None = None

    @classmethod
    def read(cls, name: str) -> Record | None:
        """The record of a cluster; None when there is none, or one cut short."""
        try:
            data = json.loads(_path(name).read_text(encoding="utf-8"))
            binaries = Binaries(**{key: Path(value) for key, value in data["binaries"].items()})
            return cls(
                ports=Ports(**data["ports"]), network=Network(**data["network"]), binaries=binaries,
                complete=data["complete"], real_nodes=data["real_nodes"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def new(cls, name: str, *, binaries: Binaries, progress: Callable[[str], None]) -> Record:
        """A record with ports that no other cluster of this user has, running or not; written before it returns."""
        why = "another cluster is being created"
        with exclusive("ports", why=why, progress=progress, timeout_seconds=60):
            found = (cls.read(path.parent.name) for path in _path("*").parent.parent.glob("*/llmos.json"))
            others = [other for other in found if other]
            reserved = {port for other in others for port in asdict(other.ports).values()}
            network = claim(cluster_folder(name), reserved=[other.network.cidr for other in others])
            names = [field.name for field in fields(Ports)]
            ports = Ports(**dict(zip(names, choose(len(names), reserved=reserved), strict=True)))
            record = cls(ports=ports, network=network, binaries=binaries)
            record.write(name)
            return record

    def write(self, name: str) -> None:
        path = _path(name)
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        write_whole(path, json.dumps(asdict(self), indent=1, default=str) + "\n")


def _path(name: str) -> Path:
    return cluster_folder(name) / "llmos.json"
