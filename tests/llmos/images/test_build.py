"""What is built, what is only looked up, and what is refused before anything is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llmos.images import base, build, engine, validity
from llmos.images.base import BaseImage
from llmos.images.build import BuiltImage
from llmos.images.recipe import Recipe
from planner.faults import EnvironmentFault, Fault, UserFault

FIRST, SECOND, BASE = (f"sha256:{letter * 64}" for letter in "abc")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "Dockerfile").write_text("ARG BASE_IMAGE=python:3.11-slim\nFROM ${BASE_IMAGE}\n", encoding="utf-8")
    return folder


@pytest.fixture
def builds(registry, monkeypatch) -> list:
    """Recipes that would have been built; the registry then has what was pushed, as digests FIRST, SECOND."""
    made: list = []

    def build_and_push(recipe, *, engine, target: str) -> str:
        digest = (FIRST, SECOND)[len(made)]
        made.append(recipe)
        registry.images[("app", target.rpartition(":")[2])] = registry.images[("app", digest)] = digest
        return digest

    def ensure_base(reference: str, *, engine, registry, install: bool) -> BaseImage:
        registry.images[("llmos-base", BASE)] = BASE
        image = BaseImage(ref=f"{registry.address}/llmos-base@{BASE}", made=True, origin=reference)
        base._write(reference, image)
        return image

    monkeypatch.setattr(build, "build_and_push", build_and_push)
    monkeypatch.setattr(build, "ensure_base", ensure_base)
    monkeypatch.setattr(build, "ensure_engine", lambda **_: None)
    monkeypatch.setattr(build, "ensure_registry", lambda **_: registry)
    monkeypatch.setattr(build, "find_registry", lambda: registry)
    return made


def _build(folder: Path, **more) -> BuiltImage:
    return build.build(context=folder, repository="app", **more)


def test_an_unchanged_folder_is_looked_up_without_an_engine(folder: Path, builds, registry, monkeypatch) -> None:
    first = _build(folder)
    assert (first.ref, first.digest, first.changed) == (f"{registry.address}/app@{FIRST}", FIRST, True)
    assert build.unchanged(context=folder, repository="app") == FIRST
    monkeypatch.setattr(build, "ensure_engine", lambda **_: pytest.fail("an engine was asked for"))
    again = _build(folder)
    assert (again.digest, again.changed, len(builds)) == (FIRST, False, 1)


@pytest.mark.parametrize("change", ["file", "argument", "platform", "forgotten", "base"])
def test_whatever_determines_the_image_has_it_built_again(folder: Path, builds, registry, change: str) -> None:
    _build(folder)
    more = {}
    if change == "file":
        (folder / "new").touch()
    elif change == "argument":
        more = {"build_args": {"LEVEL": "2"}}
    elif change == "platform":
        more = {"platforms": ("linux/s390x",)}
    elif change == "forgotten":
        del registry.images[("app", FIRST)]
    else:
        del registry.images[("llmos-base", BASE)]
    assert build.unchanged(context=folder, repository="app", **more) is None
    assert _build(folder, **more).digest == SECOND


def test_an_image_that_comes_out_the_same_has_not_changed(folder: Path, builds, registry, monkeypatch) -> None:
    _build(folder)

    def same(recipe, *, engine, target: str) -> str:
        registry.images[("app", target.rpartition(":")[2])] = FIRST
        return FIRST

    monkeypatch.setattr(build, "build_and_push", same)
    (folder / "comment").touch()
    assert not _build(folder).changed


def test_the_base_image_goes_in_by_digest(folder: Path, builds, registry) -> None:
    _build(folder)
    assert builds[0].build_args == {"BASE_IMAGE": f"{registry.address}/llmos-base@{BASE}"}


@pytest.mark.parametrize(
    ("dockerfile", "more", "arguments"),
    [
        ("FROM scratch\n", {}, {}),
        ("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n", {"build_args": {"BASE_IMAGE": "mine"}}, {"BASE_IMAGE": "mine"}),
        ("ARG BASE_IMAGE=python:3.11\nFROM ${BASE_IMAGE}\n", {"platforms": ("linux/s390x",)}, {}),
    ],
)
def test_a_base_image_is_provided_only_where_it_fits(folder: Path, builds, dockerfile, more, arguments) -> None:
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    _build(folder, **more)
    assert builds[0].build_args == arguments


def test_a_push_that_the_registry_does_not_have_is_a_fault_and_no_digest(folder: Path, builds, monkeypatch) -> None:
    monkeypatch.setattr(build, "build_and_push", lambda *_, **__: FIRST)
    with pytest.raises(EnvironmentFault, match="was pushed, but the registry"):
        _build(folder)
    assert build.unchanged(context=folder, repository="app") is None


def test_a_registry_elsewhere_gets_its_digest_from_the_push(folder: Path, builds, registry) -> None:
    image = build.build(context=folder, repository="registry.test/team/app")
    assert image.ref == f"registry.test/team/app@{FIRST}"


class Remote:
    """A registry elsewhere that has these digests; ``None`` stands for one out of reach."""

    def __init__(self, *digests: str | None) -> None:
        self.digests, self.asked = digests, 0

    def __call__(self, *, host: str) -> Remote:
        assert host == "registry.test"
        return self

    def digest(self, repository: str, reference: str) -> str | None:
        self.asked += 1
        if None in self.digests:
            raise EnvironmentFault(Fault(what="out of reach", where="registry", fix="none"))
        return reference if repository == "team/app" and reference in self.digests else None


def test_what_a_registry_elsewhere_still_has_is_not_built_again(folder: Path, builds, registry, monkeypatch) -> None:
    monkeypatch.setattr(validity, "RemoteRegistry", Remote(FIRST))
    first = build.build(context=folder, repository="registry.test/team/app")
    assert build.unchanged(context=folder, repository="registry.test/team/app") == FIRST
    again = build.build(context=folder, repository="registry.test/team/app")
    assert (again.digest, again.changed, len(builds)) == (first.digest, False, 1)


@pytest.mark.parametrize("digests", [(), (None,)], ids=["gone", "out of reach"])
def test_what_a_registry_elsewhere_may_not_have_is_built(folder: Path, builds, registry, monkeypatch, digests) -> None:
    monkeypatch.setattr(validity, "RemoteRegistry", Remote(*digests))
    build.build(context=folder, repository="registry.test/team/app")
    assert build.unchanged(context=folder, repository="registry.test/team/app") is None
    build.build(context=folder, repository="registry.test/team/app")
    assert len(builds) == 2


def test_a_changed_folder_and_an_offline_preview_ask_no_registry_elsewhere(
    folder: Path, builds, registry, monkeypatch
) -> None:
    remote = Remote(FIRST)
    monkeypatch.setattr(validity, "RemoteRegistry", remote)
    build.build(context=folder, repository="registry.test/team/app")
    assert build.unchanged(context=folder, repository="registry.test/team/app", offline=True) is None
    (folder / "new").touch()
    assert build.unchanged(context=folder, repository="registry.test/team/app") is None
    assert remote.asked == 0


def test_a_registry_elsewhere_that_reports_no_digest_is_a_fault(folder: Path, builds, monkeypatch) -> None:
    monkeypatch.setattr(build, "build_and_push", lambda *_, **__: "")
    with pytest.raises(EnvironmentFault, match="reported no digest"):
        build.build(context=folder, repository="registry.test/team/app")


@pytest.mark.parametrize(
    ("repository", "is_host"),
    [("app", False), ("team/app", False), ("registry.test/app", True), ("localhost/app", True), ("host:5000/a", True)],
)
def test_a_host_is_told_from_a_name_as_docker_does(repository: str, is_host: bool) -> None:
    recipe = Recipe(context=Path(), dockerfile=Path(), repository=repository)
    assert recipe.elsewhere is is_host


@pytest.mark.parametrize("attempt", [build.build, build.check])
def test_a_missing_folder_is_the_users_fault_and_starts_nothing(folder: Path, tmp_path: Path, attempt) -> None:
    with pytest.raises(UserFault, match=r"appp does not exist\n  folders with a Dockerfile beside it: app") as caught:
        attempt(context=tmp_path / "appp", repository="app", install=False)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "cache" / "registry").exists()


@pytest.mark.parametrize("attempt", [build.build, build.check])
def test_a_missing_dockerfile_is_the_users_fault(tmp_path: Path, attempt) -> None:
    with pytest.raises(UserFault, match="there is no Dockerfile in"):
        attempt(context=tmp_path, repository="app", install=False)


def test_checking_asks_for_an_engine_only_when_there_is_something_to_build(folder: Path, builds, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(build, "check_engine", lambda **more: asked.append(more["why"]))
    build.check(context=folder, repository="app", install=False)
    assert asked == ["building the image `app`"]
    _build(folder)
    build.check(context=folder, repository="app", install=False)
    assert len(asked) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="stand-in programs are scripts")
@pytest.mark.parametrize("reference", ["alpine:3", "registry.test/team/python-like:1"])
def test_only_a_python_image_is_replaced_by_debians(stand_in, registry, reference: str) -> None:
    said = "Error response from daemon: Get https://registry.test/v2/: dial tcp: lookup registry.test: no such host\n"
    docker = engine.Engine(client=stand_in("d", {"pull": (1, "", said)}).program, buildx=False, host=None, version="20")
    with pytest.raises(EnvironmentFault, match=rf"{reference} cannot be pulled: no such host"):
        base.ensure_base(reference, engine=docker, registry=registry, install=False)


@pytest.mark.skipif(sys.platform == "win32", reason="stand-in programs are scripts")
def test_a_base_image_that_can_be_pulled_is_copied_once(stand_in, registry) -> None:
    registry.images[("llmos-base", "python-3.11-slim")] = registry.images[("llmos-base", BASE)] = BASE
    program = stand_in("d", {"pull": (0, "", ""), "tag": (0, "", ""), "push": (0, "", "")})
    docker = engine.Engine(client=program.program, buildx=False, host=None, version="20")
    image = base.ensure_base("python:3.11-slim", engine=docker, registry=registry, install=False)
    assert image.ref == f"{registry.address}/llmos-base@{BASE}"
    assert not image.made
    assert base.ensure_base("python:3.11-slim", engine=docker, registry=registry, install=False) == image
    assert [call["words"][0] for call in program.calls] == ["pull", "tag", "push"]


def test_a_base_image_moves_with_its_registry(registry) -> None:
    registry.images[("llmos-base", BASE)] = BASE
    base._write("python:3.11", BaseImage(ref=f"127.0.0.1:1/llmos-base@{BASE}", made=True, origin="made"))
    found = base.known_base("python:3.11", registry=registry)
    assert found is not None
    assert found.ref == f"{registry.address}/llmos-base@{BASE}"
