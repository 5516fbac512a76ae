"""What the registry is asked, and that its address stays the same."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from llmos.images.registry import (
    Registry,
    ensure_registry,
    find_registry,
    free_port,
    is_digest,
    stop_registry,
)
from planner.faults import EnvironmentFault

DIGEST = f"sha256:{'a' * 64}"

debian_registry = pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="needs the program docker-registry (Debian package docker-registry)"
)


def test_a_tag_resolves_to_the_digest_that_the_registry_names(registry) -> None:
    registry.images[("app", "v1")] = DIGEST
    assert registry.answers()
    assert registry.digest("app", "v1") == DIGEST
    assert registry.digest("app", "v2") is None


def test_an_image_is_there_only_under_its_own_digest(registry) -> None:
    registry.images[("app", DIGEST)] = DIGEST
    assert registry.has("app", DIGEST)
    assert not registry.has("app", DIGEST.replace("a", "b"))
    assert not registry.has("other", DIGEST)


def test_an_answer_without_a_digest_is_a_fault_and_never_a_digest(registry) -> None:
    registry.images[("app", "v1")] = "latest"
    with pytest.raises(EnvironmentFault, match="named no digest for app:v1"):
        registry.digest("app", "v1")
    assert not registry.has("app", "v1")


def test_a_registry_that_is_gone_is_a_fault() -> None:
    gone = Registry(address=f"127.0.0.1:{free_port()}")
    assert not gone.answers()
    assert not gone.has("app", DIGEST)
    with pytest.raises(EnvironmentFault, match="does not answer"):
        gone.digest("app", "v1")


def test_a_proxy_is_never_asked_for_loopback(registry, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert registry.answers()


@pytest.mark.parametrize("text", ["", "latest", "sha256:abc", DIGEST.upper(), f"{DIGEST}0", DIGEST[7:]])
def test_only_a_whole_digest_is_one(text: str) -> None:
    assert is_digest(DIGEST)
    assert not is_digest(text)


def test_a_port_that_somebody_has_is_passed_over() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        assert free_port(first=taken) > taken


def test_finding_starts_nothing(tmp_path: Path) -> None:
    assert find_registry() is None
    assert stop_registry() is False
    assert not (tmp_path / "cache" / "registry").exists()


@debian_registry
def test_it_starts_once_and_comes_back_at_the_same_address() -> None:
    try:
        first = ensure_registry(install=False)
        assert ensure_registry(install=False) == first == find_registry()
        assert stop_registry() is True
        assert find_registry() is None
        assert ensure_registry(install=False) == first
    finally:
        stop_registry()
    assert not first.answers()
