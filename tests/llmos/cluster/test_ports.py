from __future__ import annotations

import socket

import pytest

from llmos.cluster import ports
from planner.faults import EnvironmentFault


def test_chosen_ports_are_different_and_can_be_listened_on() -> None:
    chosen = ports.choose(8)
    assert len(set(chosen)) == 8
    for port in chosen:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


def test_a_port_that_is_taken_or_reserved_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        monkeypatch.setattr(ports, "_RANGE", range(taken, taken + 40))
        for _ in range(20):
            chosen = ports.choose(2, reserved={taken + 1, taken + 2})
            assert not {taken, taken + 1, taken + 2} & set(chosen)


def test_too_few_free_ports_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_RANGE", range(20_000, 20_002))
    with pytest.raises(EnvironmentFault, match=r"needed 3 free TCP ports between 20000 and 20001"):
        ports.choose(3)
