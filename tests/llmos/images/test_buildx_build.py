"""Which builder makes an image, how it is called, and what it is told of caches."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from llmos.images import build, buildx
from llmos.images.builder import build_and_push, build_by
from llmos.images.buildx import Builder, builder_for
from llmos.images.options import BuildOptions
from llmos.images.recipe import Recipe
from planner.faults import EnvironmentFault, Fault
from tests.llmos.images.conftest import engine_of, recipe_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-in programs are scripts")

DIGEST = f"sha256:{'a' * 64}"
TARGET = "reg.example/team/app:build-1"


# Which builder for an image


def _no_builder(*_: object, **__: object) -> Builder:
    raise EnvironmentFault(Fault(what="moby/buildkit cannot be pulled", where="image builder", fix="none"))


def test_the_engine_stands_in_where_a_container_is_only_the_default(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(buildx, "ensure_builder", _no_builder)
    default = BuildOptions(builder="container", stated=False)
    assert builder_for(recipe_of(tmp_path, options=default)) is None
    assert "moby/buildkit cannot be pulled" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        {"options": BuildOptions(builder="container")},
        {"options": BuildOptions(builder="remote", name="b")},
        {"platforms": ("linux/amd64", "linux/arm64")},
        {"build_args": {"BUILDKIT_ATTEST_SBOM": "generator=x"}},
        {"options": BuildOptions(builder="container", stated=False, cache_to=("type=registry,ref=x",))},
    ],
    ids=["stated", "remote", "platforms", "attested", "cached"],
)
def test_nothing_is_left_out_without_a_word(tmp_path: Path, monkeypatch, more) -> None:
    monkeypatch.setattr(buildx, "ensure_builder", _no_builder)
    recipe = recipe_of(tmp_path, **{"options": BuildOptions(builder="container", stated=False), **more})
    with pytest.raises(EnvironmentFault):
        builder_for(recipe)


# Calling it


def _builder(made) -> Builder:
    return Builder(command=(made.program, "buildx"), name="team", env={"BUILDX_CONFIG": "/x"})


def _answer_with_digest(monkeypatch) -> None:
    monkeypatch.setattr("llmos.images.builder._digest", lambda metadata: DIGEST)


def test_a_builder_is_told_everything_and_pushes_itself(program, tmp_path: Path, monkeypatch) -> None:
    _answer_with_digest(monkeypatch)
    made = program({"buildx build": (0, "", "")})
    options = BuildOptions(
        builder="remote", name="team", cache_from=("type=registry,ref=c",), cache_to=("type=registry,ref=c,mode=max",),
        output="type=registry,rewrite-timestamp=true",
    )  # fmt: skip
    recipe = recipe_of(
        tmp_path, options=options, platforms=("linux/amd64", "linux/arm64"),
        build_args={"SOURCE_DATE_EPOCH": "1", "BUILDKIT_ATTEST_PROVENANCE": "mode=max"},
    )  # fmt: skip
    assert build_by(_builder(made), recipe, target=TARGET) == DIGEST
    (call,) = made.calls
    assert call["words"][:3] == ["buildx", "build", "--builder=team"]
    assert {
        "--platform=linux/amd64,linux/arm64", "--cache-from=type=registry,ref=c", f"--tag={TARGET}",
        "--cache-to=type=registry,ref=c,mode=max", "--output=type=registry,rewrite-timestamp=true",
        "--build-arg=SOURCE_DATE_EPOCH=1", "--build-arg=BUILDKIT_ATTEST_PROVENANCE=mode=max",
    } <= set(call["words"])  # fmt: skip
    assert call["words"][-1] == str(tmp_path)
    assert not {"--load", "--network=host"} & set(call["words"]), "a builder of others may refuse the host's network"


def test_an_inline_cache_is_pushed_where_the_next_build_looks(program, tmp_path: Path, monkeypatch) -> None:
    _answer_with_digest(monkeypatch)
    made = program({"buildx build": (0, "", "")})
    options = BuildOptions(
        builder="container", cache_from=("type=registry,ref=reg.example/team/app:latest",), cache_to=("type=inline",)
    )
    build_by(_builder(made), recipe_of(tmp_path, options=options), target=TARGET)
    assert {f"--tag={TARGET}", "--tag=reg.example/team/app:latest"} <= set(made.calls[0]["words"])


@pytest.mark.parametrize("plugin", [True, False])
def test_the_engine_keeps_an_inline_cache_too(program, tmp_path: Path, plugin: bool) -> None:
    pushed = {"push": (0, "", ""), "image inspect": (0, json.dumps([f"reg.example/team/app@{DIGEST}"]), "")}
    made = program({"buildx build": (0, "", ""), "build": (0, "", ""), **pushed})
    options = BuildOptions(cache_from=("type=registry,ref=r/a:latest",), cache_to=("type=inline",))
    engine = engine_of(made, plugin=plugin)
    assert build_and_push(recipe_of(tmp_path, options=options), engine=engine, target=TARGET) == DIGEST
    words = set(made.calls[0]["words"])
    if plugin:
        assert {"--cache-from=type=registry,ref=r/a:latest", "--cache-to=type=inline"} <= words
    else:
        assert {"--cache-from=r/a:latest", "--build-arg=BUILDKIT_INLINE_CACHE=1"} <= words
    pushes = [call["words"][-1] for call in made.calls if call["words"][0] == "push"]
    assert pushes == [TARGET, "reg.example/team/app:latest"]


def test_a_remote_builder_needs_no_engine_and_no_base_image(tmp_path: Path, monkeypatch, listening: str) -> None:
    (tmp_path / "Dockerfile").write_text("ARG BASE_IMAGE=python:3.11\nFROM ${BASE_IMAGE}\n", encoding="utf-8")
    monkeypatch.setattr(build, "ensure_engine", lambda **_: pytest.fail("an engine was asked for"))
    monkeypatch.setattr(build, "check_engine", lambda **_: pytest.fail("an engine was asked for"))
    monkeypatch.setattr(build, "builder_for", lambda recipe: Builder(command=("x",), name="b", env={}))
    seen: list[Recipe] = []
    monkeypatch.setattr(build, "build_by", lambda builder, recipe, *, target: seen.append(recipe) or DIGEST)
    options = BuildOptions(builder="remote", name="b", address=listening)
    build.check(context=tmp_path, repository="reg.example/team/app", install=False, options=options)
    made = build.build(context=tmp_path, repository="reg.example/team/app", install=False, options=options)
    assert made.ref == f"reg.example/team/app@{DIGEST}"
    assert seen[0].build_args == {}


def test_checking_a_remote_builder_asks_whether_it_answers(tmp_path: Path, closed: str) -> None:
    (tmp_path / "Dockerfile").touch()
    options = BuildOptions(builder="remote", name="b", address=closed)
    with pytest.raises(EnvironmentFault, match="no buildkitd answers"):
        build.check(context=tmp_path, repository="reg.example/team/app", install=False, options=options)
