"""How the build is called, and what is said when it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from llmos.images import host
from llmos.images.builder import build_and_push, failing_step
from llmos.images.engine import Engine
from llmos.images.recipe import Recipe
from planner.faults import EnvironmentFault, UserFault

DIGEST = f"sha256:{'a' * 64}"
INDEX = "https://user:hunter2@index.test/simple"
TARGET = "127.0.0.1:5000/app:build-1"
PUSHED = {
    "push": (0, "", ""),
    "image inspect": (0, json.dumps([f"other@sha256:{'b' * 64}", f"127.0.0.1:5000/app@{DIGEST}"]), ""),
}

# What docker.io 20.10 prints.
FAILED_RUN = """\
#5 [2/2] RUN echo one && exit 3
#5 sha256:c2e9e0f3e5bc33a0ee30a2f59ddef7c4b1f52ad5d29ca20b68ea532f4b54600e
#5 0.758 one
#5 0.759 two
#5 ERROR: executor failed running [/bin/sh -c echo one && exit 3]: exit code: 3
------
 > [2/2] RUN echo one && exit 3:
------
executor failed running [/bin/sh -c echo one && exit 3]: exit code: 3
"""
# What buildx 0.24 prints.
FAILED_COPY = """\
#6 [2/2] COPY nothere.txt /
#6 ERROR: failed to calculate checksum of ref abc: "/nothere.txt": not found
#7 [other 1/1] RUN sleep 9
#7 CANCELED
------
 > [2/2] COPY nothere.txt /:
------
Dockerfile:3
--------------------
   3 | >>> COPY nothere.txt /
--------------------
ERROR: failed to solve: failed to compute cache key: "/nothere.txt": not found
"""
FAILED_SYNTAX = """\
#2 DONE 0.0s
failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 3: RUNN
"""
FAILED_BASE = """\
#3 [internal] load metadata for nowhere.invalid/x:1
#3 ERROR: failed to do request: Head "https://nowhere.invalid/v2/x/manifests/1": no such host
"""

FAILED_FRONTEND = """\
#3 resolve image config for docker.io/docker/dockerfile:1
#3 ERROR: failed to do request: Head "https://registry-1.docker.io/v2/docker/dockerfile/manifests/1": no such host
"""


@pytest.fixture
def docker(stand_in, monkeypatch):
    if sys.platform == "win32":
        pytest.skip("stand-in programs are scripts")
    # What pip prints is tested with `llmos.images.host`; asking it takes a second each time.
    monkeypatch.setattr(host, "_pip_config_list", lambda: f"global.index-url='{INDEX}'\n")
    return lambda build, name="docker": stand_in(name, {"build": build, "buildx build": build, **PUSHED})


def _engine(docker, *, buildx: bool = False) -> Engine:
    return Engine(client=docker.program, buildx=buildx, host=None, version="20.10.24")


def _recipe(folder: Path, **other) -> Recipe:
    values = {"platforms": (), "build_args": {}, "secrets": {}, "install": False, **other}
    return Recipe(context=folder, dockerfile=folder / "Dockerfile", repository="app", **values)


def test_the_digest_is_the_one_of_this_repository(docker, tmp_path: Path) -> None:
    program = docker((0, "", ""))
    assert build_and_push(_recipe(tmp_path), engine=_engine(program), target=TARGET) == DIGEST
    assert [call["words"][0] for call in program.calls] == ["build", "push", "image"]


def test_secrets_travel_as_files_and_proxies_by_name(docker, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "token").write_text("hunter2", encoding="utf-8")
    (tmp_path / "ca.pem").write_text("certificates", encoding="utf-8")
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.test")
    program = docker((0, "", ""))
    recipe = _recipe(tmp_path, secrets={"hf": tmp_path / "token"}, build_args={"B": "2", "A": "1"})
    build_and_push(recipe, engine=_engine(program), target=TARGET)
    call = program.calls[0]
    assert not any("hunter2" in word for word in call["words"])
    assert "--build-arg=HTTPS_PROXY" in call["words"]
    assert [word for word in call["words"] if word.startswith(("--build-arg=A", "--build-arg=B"))] == [
        "--build-arg=A=1",
        "--build-arg=B=2",
    ]
    ids = {word.removeprefix("--secret=id=").partition(",")[0]: word for word in call["words"] if "--secret" in word}
    content = {name: call["files"][word.partition("src=")[2]] for name, word in ids.items()}
    assert content["hf"] == "hunter2"
    assert content["ca"] == "certificates"
    assert f"index-url = {INDEX}" in content["pip"]
    assert not any(Path(word.partition("src=")[2]).exists() for name, word in ids.items() if name == "pip")


def test_the_plugin_loads_one_platform_and_pushes_several_itself(docker, tmp_path: Path) -> None:
    one = docker((0, "", ""), "one")
    build_and_push(_recipe(tmp_path, platforms=("linux/amd64",)), engine=_engine(one, buildx=True), target=TARGET)
    assert one.calls[0]["words"][:2] == ["buildx", "build"]
    assert {"--load", "--platform=linux/amd64"} <= set(one.calls[0]["words"])


def test_several_platforms_without_the_plugin_are_refused_before_anything_runs(docker, tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, platforms=("linux/amd64", "linux/arm64"))
    program = docker((0, "", ""))
    with pytest.raises(EnvironmentFault, match="not for linux/amd64, linux/arm64"):
        build_and_push(recipe, engine=_engine(program), target=TARGET)
    assert not (program.folder / "calls.jsonl").exists()


@pytest.mark.parametrize(
    ("said", "title", "printed"),
    [
        (FAILED_RUN, "[2/2] RUN echo one && exit 3", ["one", "two", "executor failed running"]),
        (FAILED_COPY, "[2/2] COPY nothere.txt /", ['failed to calculate checksum of ref abc: "/nothere.txt": not']),
        (FAILED_SYNTAX, "reading the Dockerfile", ["dockerfile parse error line 3: RUNN"]),
    ],
)
def test_a_failed_step_is_quoted(docker, tmp_path: Path, said: str, title: str, printed: list[str]) -> None:
    with pytest.raises(UserFault) as caught:
        build_and_push(_recipe(tmp_path), engine=_engine(docker((1, "", said))), target=TARGET)
    what = caught.value.faults[0].what.splitlines()
    assert what[0] == f"the build failed at `{title}`:"
    assert all(line.strip().startswith(start) for line, start in zip(what[1:], printed, strict=True))


@pytest.mark.parametrize("said", [FAILED_BASE, FAILED_FRONTEND], ids=["base", "frontend"])
def test_an_image_out_of_reach_is_the_environments_fault(docker, tmp_path: Path, said: str) -> None:
    with pytest.raises(EnvironmentFault, match="name an image that this machine can pull"):
        build_and_push(_recipe(tmp_path), engine=_engine(docker((1, "", said))), target=TARGET)


def test_a_builder_that_cannot_do_several_platforms_is_the_environments_fault(docker, tmp_path: Path) -> None:
    said = "ERROR: failed to build: Multi-platform build is not supported for the docker driver.\nSwitch to another."
    recipe = _recipe(tmp_path, platforms=("linux/amd64", "linux/arm64"))
    with pytest.raises(EnvironmentFault, match="cannot build for linux/amd64, linux/arm64 at once"):
        build_and_push(recipe, engine=_engine(docker((1, "", said)), buildx=True), target=TARGET)


def test_a_build_that_never_began_is_the_environments_fault(docker, tmp_path: Path) -> None:
    said = "error during connect: EOF"
    assert failing_step(said) is None
    with pytest.raises(EnvironmentFault, match="did not start:\n    error during connect: EOF"):
        build_and_push(_recipe(tmp_path), engine=_engine(docker((1, "", said))), target=TARGET)
