"""What `ip` says of the routes, in its own form."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from typing import Any

import pytest

from llmos import routes

SAID = [
    {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
    {"dst": "192.0.2.0/24", "dev": "eth0", "scope": "link"},
    {"type": "local", "dst": "192.0.2.2", "dev": "eth0", "table": "local"},
    {"type": "blackhole", "dst": "10.9.0.0/16"},
]


def test_every_route_but_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "ip_program", lambda: "ip")
    answer = subprocess.CompletedProcess([], 0, json.dumps(SAID), "")
    monkeypatch.setattr(routes, "run", lambda *_, **__: answer)
    assert routes.routes() == [
        ("eth0", ipaddress.ip_network("192.0.2.0/24")), ("eth0", ipaddress.ip_network("192.0.2.2/32")),
        ("", ipaddress.ip_network("10.9.0.0/16")),
    ]  # fmt: skip


def test_without_ip_there_is_nothing_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> None:
        pytest.fail("nothing is run")

    monkeypatch.setattr(routes, "ip_program", lambda: None)
    monkeypatch.setattr(routes, "run", run)
    assert routes.routes() == []
