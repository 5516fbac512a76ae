"""While a cluster starts, a component that ends is started again, a bounded number of times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llmos.cluster import embedded


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of clusters that were told to start what does not run; the controller manager never does."""
    started: list[str] = []
    dead = SimpleNamespace(name="kube-controller-manager", running=False)
    monkeypatch.setattr(embedded, "states", lambda folder: (dead,))
    monkeypatch.setattr(embedded, "drop_stale_pid_files", lambda folder: None)
    monkeypatch.setattr(embedded.control_plane, "start", lambda name, binaries: started.append(name))
    monkeypatch.setattr(embedded.karpenter, "ensure_running", lambda folder, binaries, ports: None)
    return started


def record() -> Any:
    return SimpleNamespace(binaries=None, ports=None)


def test_what_ended_is_started_again_but_not_for_ever(starts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_is_up", lambda name, record: False)
    check = embedded._reviving("a", record())
    assert not any(check() for _ in range(20))
    assert starts == ["a"] * embedded._REVIVALS


def test_a_cluster_that_is_up_is_left_alone(starts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_is_up", lambda name, record: True)
    assert embedded._reviving("a", record())()
    assert starts == []
