"""Which engine and which client are taken, and what is said where there is none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmos import packages
from llmos.images import engine, own_engine
from planner.faults import EnvironmentFault

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-in programs are scripts")

ANSWERS = (0, "28.2.2\n", "")
SILENT = (1, "", "Cannot connect to the Docker daemon")
OLD = {"--version": (0, "Docker version 20.10.24+dfsg1, build 297e128\n", "")}
NEW = {"--version": (0, "Docker version 28.2.2, build e6534b4\n", ""), "buildx": (1, "", "unknown command")}
NEW_WITH_BUILDX = {**NEW, "buildx": (0, "github.com/docker/buildx v0.24.0\n", "")}


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the given stand-ins all the `docker` programs there are, and no engine installable."""

    def install(*stand_ins) -> None:
        found = [stand_in.program for stand_in in stand_ins]
        monkeypatch.setattr(engine, "_programs", lambda: found)
        monkeypatch.setattr(own_engine, "program", lambda: None)

    return install


def test_an_old_client_builds_without_the_plugin(stand_in, only) -> None:
    docker = stand_in("old", {**OLD, "version": ANSWERS})
    only(docker)
    assert engine.find_engine() == engine.Engine(client=docker.program, buildx=False, host=None, version="28.2.2")


def test_a_new_client_without_the_plugin_is_passed_over(stand_in, only) -> None:
    new, old = stand_in("new", {**NEW, "version": ANSWERS}), stand_in("old", {**OLD, "version": ANSWERS})
    only(new, old)
    found = engine.find_engine()
    assert found is not None
    assert (found.client, found.buildx, found.own) == (old.program, False, False)


def test_a_new_client_with_the_plugin_is_taken(stand_in, only) -> None:
    new = stand_in("new", {**NEW_WITH_BUILDX, "version": ANSWERS})
    only(new)
    found = engine.find_engine()
    assert found is not None
    assert (found.client, found.buildx) == (new.program, True)


def test_only_a_client_without_the_plugin_is_a_fault_that_says_so(stand_in, only) -> None:
    only(stand_in("new", {**NEW, "version": ANSWERS}))
    with pytest.raises(EnvironmentFault, match=r"cannot build with BuildKit(.|\n)*docker-buildx") as caught:
        engine.ensure_engine(install=True, why="building `x`")
    assert caught.value.exit_code == 2


def test_an_engine_chosen_by_name_that_does_not_answer_is_a_fault(stand_in, only, monkeypatch) -> None:
    only(stand_in("old", {**OLD, "version": SILENT}))
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    for attempt in (engine.ensure_engine, engine.check_engine):
        with pytest.raises(EnvironmentFault, match=r"no Docker engine answers at DOCKER_HOST=tcp://127\.0\.0\.1:1"):
            attempt(install=True, why="building `x`")


@pytest.mark.parametrize("attempt", [engine.ensure_engine, engine.check_engine])
def test_no_engine_and_nothing_may_be_installed_is_one_fault(only, monkeypatch, attempt) -> None:
    only()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "missing", list)
    with pytest.raises(EnvironmentFault, match=r"docker\.io not installed, and --no-install was given") as caught:
        attempt(install=False, why="building `x`")
    assert len(caught.value.faults) == 1
    assert "no Docker engine answers" in str(caught.value)
    assert "apt-get install" in caught.value.faults[0].fix


def test_checking_installs_nothing(only, monkeypatch) -> None:
    only()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "ensure", lambda *_, **__: pytest.fail("something was to be installed"))
    engine.check_engine(install=True, why="building `x`")


def test_another_user_is_told_how_to_start_one(only, monkeypatch) -> None:
    only()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EnvironmentFault, match="systemctl start docker"):
        engine.ensure_engine(install=True, why="building `x`")


def test_on_a_mac_nothing_is_started(only, monkeypatch) -> None:
    only()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(EnvironmentFault, match="start Docker Desktop"):
        engine.ensure_engine(install=True, why="building `x`")


def test_programs_come_in_the_order_of_path(stand_in, monkeypatch) -> None:
    first, second = stand_in("first", {}), stand_in("second", {})
    monkeypatch.setenv("PATH", os.pathsep.join([str(first.folder), str(second.folder), str(first.folder)]))
    assert engine._programs()[:2] == [first.program, second.program]
    assert len(engine._programs()) == len(set(engine._programs()))


def test_our_own_engine_is_addressed_whatever_the_environment_says(stand_in, monkeypatch) -> None:
    docker = stand_in("old", {"ps": (0, "", "")})
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    own = engine.Engine(client=docker.program, buildx=False, host="unix:///run/ours.sock", version="20.10")
    own.docker(["ps"])
    assert docker.calls[0]["host"] == "unix:///run/ours.sock"


@pytest.mark.parametrize("length", [1, 200])
def test_the_socket_of_our_own_engine_is_never_too_long(monkeypatch, length: int) -> None:
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(Path("/nowhere", "x" * length)))
    monkeypatch.setattr(own_engine, "cache_dir", lambda: Path(os.environ["LLMOS_CACHE_DIR"]))
    longest = own_engine._run_folder() / "containerd" / "containerd-debug.sock"
    assert len(str(longest).encode()) <= 107
    assert own_engine.host() == f"unix://{own_engine._run_folder() / 'docker.sock'}"


def test_stopping_an_engine_that_never_was_touches_nothing() -> None:
    assert engine.stop_engine() is False
