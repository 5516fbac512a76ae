"""What the registry is asked, and that its address stays the same."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pytest
import yaml

from llmos.builds import needs_registry
from llmos.cluster.ports import choose, is_free
from llmos.daemons import wait_until
from llmos.images import registry as local
from llmos.images.engine import Engine
from llmos.images.registry import ensure_registry, find_registry, stop_registry
from llmos.images.registry_client import Registry, is_digest
from llmos.stacks import load_stack
from planner.faults import EnvironmentFault

DIGEST = f"sha256:{'a' * 64}"

debian_registry = pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="needs the program docker-registry (Debian package docker-registry)"
)


@pytest.fixture
def quiet_port(monkeypatch) -> None:
    """Ports away from 5000, where the user's own registry and those of other test runs come and go."""
    monkeypatch.setattr(local, "DEFAULT_PORT", choose(1)[0])


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
    gone = Registry(address=f"127.0.0.1:{choose(1)[0]}")
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


def test_finding_starts_nothing(tmp_path: Path) -> None:
    assert find_registry() is None
    assert stop_registry() is False
    assert not (tmp_path / "cache" / "registry").exists()


@debian_registry
@pytest.mark.usefixtures("quiet_port")
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


@debian_registry
@pytest.mark.usefixtures("quiet_port")
def test_a_port_that_somebody_took_meanwhile_is_left_to_them() -> None:
    first = ensure_registry(install=False)
    stop_registry()
    port = int(first.address.rpartition(":")[2])
    try:
        assert wait_until(lambda: is_free(port), timeout_seconds=10), "the stopped registry closes its port"
        with socket.create_server(("127.0.0.1", port)):
            second = ensure_registry(install=False)
            assert second != first
            assert second.answers()
    finally:
        stop_registry()


@pytest.fixture
def container(stand_in, registry, monkeypatch):
    """A machine without Debian's packages, whose engine is a stand-in and whose registry container answers."""
    if sys.platform == "win32":
        pytest.skip("stand-in programs are scripts")
    program = stand_in("docker", {"rm": (0, "llmos-registry\n", ""), "run": (0, "f00\n", "")})
    engine = Engine(client=program.program, buildx=True, host=None, version="28.2.2")
    monkeypatch.setattr(local, "ensure_engine", lambda **_: engine)
    monkeypatch.setattr(local, "find_engine", lambda: engine)
    monkeypatch.setattr(local, "_choose_address", lambda: _record(registry.address))
    monkeypatch.setattr(local.shutil, "which", lambda _: None)
    return program


def _record(address: str) -> str:
    local._address_file().write_text(address, encoding="utf-8")
    return address


def test_without_debians_packages_it_is_a_container_on_loopback(container, registry) -> None:
    assert ensure_registry(install=False).address == registry.address
    assert ensure_registry(install=False).address == registry.address
    (run,) = [call["words"] for call in container.calls if call["words"][0] == "run"]
    assert run[-1] == "registry:2"
    assert f"{registry.address}:5000" in run
    assert stop_registry() is True
    assert container.calls[-1]["words"] == ["rm", "--force", "llmos-registry"]
    assert find_registry() is None
    assert stop_registry() is False


def test_a_container_that_does_not_answer_is_a_fault(container, monkeypatch) -> None:
    monkeypatch.setattr(local, "_choose_address", lambda: _record(f"127.0.0.1:{choose(1)[0]}"))
    monkeypatch.setattr(local, "_READY_SECONDS", 0.2)
    with pytest.raises(EnvironmentFault, match="docker logs llmos-registry"):
        ensure_registry(install=False)


@pytest.mark.parametrize(
    ("image", "target", "needed"),
    [
        ({"ref": f"127.0.0.1:5005/app@{DIGEST}"}, "local", True),
        ({"ref": f"127.0.0.1:5006/app@{DIGEST}"}, "local", False),
        ({"ref": f"127.0.0.1:5005/app@{DIGEST}"}, "kubernetes", False),
        ({"build": "./app"}, "local", True),
    ],
)  # fmt: skip
def test_a_stack_needs_the_local_registry_to_build_into_it_or_to_pull_from_it(
    image: dict[str, str], target: str, needed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "cache"))
    address = local._address_file()
    address.parent.mkdir(parents=True)
    address.write_text("127.0.0.1:5005", encoding="utf-8")
    raw = {"target": target, "applications": {"web": {"image": image}}}
    raw |= {"environment": "dev", "context": "company"} if target == "kubernetes" else {}
    file = tmp_path / "Pulumi.some.yaml"
    file.write_text(yaml.safe_dump({"config": {"llmagentos:stack": raw}}), encoding="utf-8")
    assert needs_registry(load_stack(None, file=file)) == needed
