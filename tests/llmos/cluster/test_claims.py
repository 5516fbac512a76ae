"""Clusters of one machine do not get the same addresses, whatever cache folder they are in."""

from __future__ import annotations

import ipaddress
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmos.cluster import claims, networks
from llmos.cluster.networks import Network
from planner.faults import EnvironmentFault


@pytest.fixture
def at_once(own_claims: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every cluster's name points to the same range, and nothing is routed."""
    monkeypatch.setattr(networks, "_start", lambda folder, count: 7)
    monkeypatch.setattr(networks, "routes", list)
    monkeypatch.setattr(claims, "routes", list)
    return own_claims


def test_clusters_that_start_at_once_get_ranges_of_their_own(at_once: Path, tmp_path: Path) -> None:
    folders = [tmp_path / f"cache-{number}" / "one" for number in range(8)]
    with ThreadPoolExecutor(len(folders)) as pool:
        found = list(pool.map(claims.claim, folders))
    assert len({network.cidr for network in found}) == len(folders)
    assert json.loads(at_once.read_text(encoding="utf-8")) == {
        network.cidr: str(folder) for network, folder in zip(found, folders, strict=True)
    }
    assert claims.claim(folders[3]) == found[3], "its own is none of another's"


def test_a_range_is_free_again_with_the_folder(at_once: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first = claims.claim(one)
    shutil.rmtree(one)
    assert claims.claim(two) == first
    shutil.rmtree(two)
    claims.release(two)
    assert not at_once.exists(), "the last leaves nothing"


def test_a_range_that_somebody_else_has_by_now_is_refused(
    at_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    network = claims.claim(one)
    claims.hold(network, one, devices=["llmosn1"])
    two.mkdir()
    with pytest.raises(EnvironmentFault, match=rf"{network.cidr}, belong to {one} by now[\s\S]*cluster down"):
        claims.hold(network, two, devices=[])

    routed = [("llmosn1", network.services), ("tun0", ipaddress.ip_network("10.0.0.0/8"))]
    monkeypatch.setattr(claims, "routes", lambda: routed)
    claims.hold(network, one, devices=["llmosn1"])  # a wider route is none in the way, nor is its own
    with pytest.raises(EnvironmentFault, match="belong to a route of this machine by now"):
        claims.hold(network, one, devices=[])


def test_without_root_nothing_is_written(at_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims.os, "access", lambda *_: False)
    network = claims.claim(tmp_path / "one")
    claims.hold(network, tmp_path / "one", devices=[])
    assert isinstance(network, Network) and not at_once.exists()
