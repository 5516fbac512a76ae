"""The bridge's addresses, on a machine that keeps what `ip` is told."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path

import pytest

from llmos.images import bridge
from planner.faults import EnvironmentFault

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="bridges are Linux's")



class Machine:
    """Routes by device, as `ip` changes them."""

    def __init__(self) -> None:
        self.routes = [("eth0", ipaddress.ip_network("192.0.2.0/24"))]
        self.log: list[str] = []

    def ip(self, *words: str) -> None:
        self.log.append(" ".join(words[:2]))
        if words[:2] == ("address", "add"):
            self.route(words[2].replace(".1/", ".0/"), words[4])

    def delete(self, name: str) -> None:
        self.routes = [route for route in self.routes if route[0] != name]

    def route(self, dst: str, dev: str) -> None:
        self.routes.append((dev, ipaddress.ip_network(dst)))

    def of(self, dev: str) -> list[str]:
        return [str(network) for device, network in self.routes if device == dev]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(bridge, "_ip", made.ip)
    monkeypatch.setattr(bridge, "routes", lambda: made.routes)
    monkeypatch.setattr(bridge, "delete", made.delete)
    return made


def test_each_bridge_has_a_network_of_its_own_and_keeps_it(machine: Machine, tmp_path: Path) -> None:
    for name in ("llmos-a", "llmos-b"):
        bridge.add(name, lock=tmp_path / "lock")
    assert (machine.of("llmos-a"), machine.of("llmos-b")) == (["10.213.0.0/24"], ["10.213.1.0/24"])
    before = list(machine.log)
    bridge.add("llmos-b", lock=tmp_path / "lock")
    assert machine.log == before


def test_a_bridge_whose_network_another_has_too_moves(machine: Machine, tmp_path: Path) -> None:
    machine.route("10.213.0.0/24", "llmos-dead")
    machine.route("10.213.0.0/24", "llmos-a")
    bridge.add("llmos-a", lock=tmp_path / "lock")
    assert machine.of("llmos-a") == ["10.213.1.0/24"]
    assert machine.of("llmos-dead") == ["10.213.0.0/24"]


def test_a_machine_without_a_free_network_is_told(machine: Machine, tmp_path: Path) -> None:
    machine.route("10.213.0.0/16", "eth1")
    with pytest.raises(EnvironmentFault, match=r"no free network is left in 10\.213\.0\.0/16"):
        bridge.add("llmos-a", lock=tmp_path / "lock")
    assert machine.of("llmos-a") == []
