"""Builders outside the Docker engine: how they are found, registered and called, and what is said when they fail."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmos.engines.pulumi_images import image_env
from llmos.images import build, buildx, host
from llmos.images.build_faults import build_fault, failing_step
from llmos.images.builder import build_and_push, build_by
from llmos.images.buildx import Builder, builder_for, ensure_builder, register, require_reachable, store
from llmos.images.engine import Engine
from llmos.images.options import BuildOptions, options_of
from llmos.images.recipe import Recipe
from planner.faults import EnvironmentFault, Fault, UserFault
from planner.plan import BuildsPlan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-in programs are scripts")

DIGEST = f"sha256:{'a' * 64}"
TARGET = "reg.example/team/app:build-1"


@pytest.fixture
def listening() -> Iterator[str]:
    """An address at which something accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address at which nothing listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def program(stand_in, monkeypatch):
    """A `docker` with the plugin, first on PATH, with these answers."""
    monkeypatch.setattr(host, "_pip_config_list", lambda: "")

    def make(answers: dict[str, tuple[int, str, str]] | None = None):
        found = {"buildx version": (0, "", ""), "--version": (0, "Docker version 28.2.2\n", ""), **(answers or {})}
        made = stand_in("docker", found)
        monkeypatch.setenv("PATH", os.pathsep.join([str(made.folder), os.environ["PATH"]]))
        monkeypatch.setattr(buildx, "ensure_engine", lambda **_: _engine(made))
        return made

    return make


def _engine(made, *, host: str | None = None, plugin: bool = True) -> Engine:
    return Engine(client=made.program, buildx=plugin, host=host, version="28.2.2")


def _recipe(folder: Path, **more) -> Recipe:
    values = {"build_args": {}, **more}
    return Recipe(context=folder, dockerfile=folder / "Dockerfile", repository="reg.example/team/app", **values)


# Options


def test_options_say_what_the_providers_inputs_say(tmp_path: Path) -> None:
    inputs = {
        "cacheFrom": [{"registry": {"ref": "r/a:buildcache"}}],
        "cacheTo": [{"registry": {"ref": "r/a:buildcache", "mode": "max", "ignoreError": True, "imageManifest": True,
                                  "ociMediaTypes": True}}],
        "exports": [{"raw": "type=registry,rewrite-timestamp=true"}],
    }  # fmt: skip
    builds = BuildsPlan(builder="remote", name="n", address="tcp://b:1", tls={"ca": "certs/ca.pem", "key": "/k.pem"})
    options = options_of(inputs, builds, project=tmp_path, stated=True)
    assert options.cache_from == ("type=registry,ref=r/a:buildcache",)
    assert options.cache_to == (
        "type=registry,ignore-error=true,image-manifest=true,mode=max,oci-mediatypes=true,ref=r/a:buildcache",
    )
    assert options.output == "type=registry,rewrite-timestamp=true"
    assert options.tls == {"ca": tmp_path / "certs/ca.pem", "key": Path("/k.pem")}
    assert not options.inline
    plain = options_of({"push": True, "cacheTo": [{"inline": {}}]}, BuildsPlan(), project=tmp_path, stated=False)
    assert (plain.output, plain.inline, plain.name, plain.stated) == ("type=registry", True, "", False)


# Finding a builder


def test_a_remote_builder_is_registered_in_our_own_folder(
    program, listening: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(buildx, "_shake_hands", lambda *_, **__: None)
    made = program({"buildx inspect": (0, "", "")})
    (tmp_path / "ca.pem").touch()
    options = BuildOptions(builder="remote", name="team", address=listening, tls={"ca": tmp_path / "ca.pem"})
    builder = ensure_builder(options, install=False, why="building")
    assert builder == Builder(command=(made.program, "buildx"), name="team", env={"BUILDX_CONFIG": str(store())})
    entry = json.loads((store() / "instances" / "team").read_text(encoding="utf-8"))
    assert (entry["Name"], entry["Driver"]) == ("team", "remote")
    assert entry["Nodes"][0]["Endpoint"] == listening
    assert entry["Nodes"][0]["DriverOpts"] == {"cacert": str(tmp_path / "ca.pem")}
    assert [call["words"] for call in made.calls][-1] == ["buildx", "inspect", "--bootstrap", "team"]


def test_registering_again_replaces_the_address(listening: str) -> None:
    for address in ("tcp://old:1", listening):
        register(BuildOptions(builder="remote", name="team", address=address))
    entry = json.loads((store() / "instances" / "team").read_text(encoding="utf-8"))
    assert entry["Nodes"][0]["Endpoint"] == listening
    assert [path.name for path in store().iterdir()] == ["instances"], "no half-written file is left"


def test_nothing_that_listens_is_one_fault(closed: str) -> None:
    with pytest.raises(EnvironmentFault, match=f"no buildkitd answers at {closed}") as caught:
        require_reachable(BuildOptions(builder="remote", name="b", address=closed))
    assert caught.value.exit_code == 2


def test_a_socket_that_is_not_there_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="there is no such socket"):
        require_reachable(BuildOptions(builder="remote", name="b", address=f"unix://{tmp_path}/none.sock"))


def test_certificates_that_are_not_there_are_the_users_fault(closed: str, tmp_path: Path) -> None:
    tls = {"ca": tmp_path / "ca.pem", "key": tmp_path / "key.pem"}
    with pytest.raises(UserFault, match=r"no file for tls\.ca: .*ca\.pem, tls\.key: .*key\.pem") as caught:
        require_reachable(BuildOptions(builder="remote", name="b", address=closed, tls=tls))
    assert caught.value.exit_code == 1


def test_a_container_of_our_own_is_made_in_the_hosts_network(program) -> None:
    made = program({"buildx inspect --bootstrap": (0, "", ""), "buildx inspect": (1, "", "none"),
                    "buildx create": (0, "", "")})  # fmt: skip
    builder = ensure_builder(BuildOptions(builder="container"), install=False, why="building")
    assert (builder.name, builder.env) == ("llmagentos", {})
    words = [call["words"][1:] for call in made.calls if call["words"][0] == "buildx"]
    assert ["create", "--name=llmagentos", "--driver=docker-container", "--driver-opt=network=host"] in words


def test_a_container_on_an_engine_of_our_own_is_asked_there(program, monkeypatch) -> None:
    made = program({"buildx inspect": (0, "", "")})
    monkeypatch.setattr(buildx, "ensure_engine", lambda **_: _engine(made, host="unix:///ours.sock"))
    ensure_builder(BuildOptions(builder="container"), install=False, why="building")
    assert made.calls[-1]["host"] == "unix:///ours.sock"
    assert not [call for call in made.calls if call["words"][:2] == ["buildx", "create"]], "it is there already"


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ('ERROR: no builder "team" found', "docker buildx create"),
        ("ERROR: Error response from daemon: pulling image moby/buildkit: no such host", "builder: engine"),
        ("ERROR: failed to list workers: Unavailable: connection error: desc = refused", "builds.address"),
        ("ERROR: remote error: tls: bad certificate", "builds.tls"),
        ("#1 ERROR: context deadline exceeded", "does not answer as a buildkitd"),
        ("something that nobody has seen", "docker buildx inspect --bootstrap team"),
    ],
)
def test_a_builder_that_cannot_be_used_is_one_fault(program, said: str, fix: str) -> None:
    program({"buildx inspect": (1, "", said)})
    with pytest.raises(EnvironmentFault) as caught:
        ensure_builder(BuildOptions(builder="container", name="team"), install=False, why="building")
    (fault,) = caught.value.faults
    assert said in fault.what
    assert fix in fault.fix


def test_without_buildx_there_is_no_builder(stand_in, monkeypatch, listening: str) -> None:
    plain = stand_in("docker", {"--version": (0, "Docker version 28.2.2\n", "")})
    monkeypatch.setenv("PATH", str(plain.folder))
    with pytest.raises(EnvironmentFault, match="takes buildx, which is neither") as caught:
        ensure_builder(BuildOptions(builder="remote", name="b", address=listening), install=False, why="building")
    assert "builder: engine" in caught.value.faults[0].nearest


def test_buildx_by_itself_will_do(stand_in, monkeypatch, listening: str) -> None:
    alone = stand_in("docker", {"inspect": (0, "", "")})
    alone.program.rename(alone.folder / "docker-buildx")
    monkeypatch.setenv("PATH", str(alone.folder))
    monkeypatch.setattr(buildx, "plugin_client", lambda: None)
    builder = ensure_builder(BuildOptions(builder="remote", name="b", address=listening), install=False, why="x")
    assert builder.command == (str(alone.folder / "docker-buildx"),)


# Which builder for an image


def _no_builder(*_: object, **__: object) -> Builder:
    raise EnvironmentFault(Fault(what="moby/buildkit cannot be pulled", where="image builder", fix="none"))


def test_the_engine_stands_in_where_a_container_is_only_the_default(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(buildx, "ensure_builder", _no_builder)
    default = BuildOptions(builder="container", stated=False)
    assert builder_for(_recipe(tmp_path, options=default)) is None
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
    recipe = _recipe(tmp_path, **{"options": BuildOptions(builder="container", stated=False), **more})
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
    recipe = _recipe(
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
    build_by(_builder(made), _recipe(tmp_path, options=options), target=TARGET)
    assert {f"--tag={TARGET}", "--tag=reg.example/team/app:latest"} <= set(made.calls[0]["words"])


@pytest.mark.parametrize("plugin", [True, False])
def test_the_engine_keeps_an_inline_cache_too(program, tmp_path: Path, plugin: bool) -> None:
    pushed = {"push": (0, "", ""), "image inspect": (0, json.dumps([f"reg.example/team/app@{DIGEST}"]), "")}
    made = program({"buildx build": (0, "", ""), "build": (0, "", ""), **pushed})
    options = BuildOptions(cache_from=("type=registry,ref=r/a:latest",), cache_to=("type=inline",))
    engine = _engine(made, plugin=plugin)
    assert build_and_push(_recipe(tmp_path, options=options), engine=engine, target=TARGET) == DIGEST
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


# What the pulumi engine is told


def test_the_provider_finds_a_remote_builder_by_name(tmp_path: Path, monkeypatch, listening: str) -> None:
    monkeypatch.setattr("llmos.engines.pulumi_images.ensure_engine", lambda **_: pytest.fail("no engine is needed"))
    monkeypatch.setattr(host, "_pip_config_list", lambda: "")
    options = BuildOptions(builder="remote", name="team", address=listening)
    env = image_env([tmp_path], options=options, make=True, install=False)
    assert env["BUILDX_CONFIG"] == str(store())
    assert (store() / "instances" / "team").is_file()
    assert not {"DOCKER_HOST", "LLMOS_BASE_IMAGE"} & env.keys()


def test_a_preview_reaches_for_no_builder(tmp_path: Path, monkeypatch, closed: str) -> None:
    monkeypatch.setattr(host, "_pip_config_list", lambda: "")
    options = BuildOptions(builder="remote", name="team", address=closed)
    assert "BUILDX_CONFIG" in image_env([tmp_path], options=options, make=False, install=False)
    with pytest.raises(EnvironmentFault, match="no buildkitd answers"):
        image_env([tmp_path], options=options, make=True, install=False)


def test_a_container_builder_needs_no_plugin_for_the_provider(tmp_path: Path, monkeypatch, stand_in) -> None:
    engine = _engine(stand_in("docker", {}), host="unix:///ours.sock", plugin=False)
    monkeypatch.setattr("llmos.engines.pulumi_images.ensure_engine", lambda **_: engine)
    monkeypatch.setattr(host, "_pip_config_list", lambda: "")
    env = image_env([tmp_path], options=BuildOptions(builder="container"), make=True, install=False)
    assert env["DOCKER_HOST"] == "unix:///ours.sock"
    with pytest.raises(EnvironmentFault, match="no buildx plugin"):
        image_env([tmp_path], options=BuildOptions(builder="engine"), make=True, install=False)


# Failures. The texts are BuildKit 0.34's and buildx 0.38's.

MISSING_CACHE = """\
#4 importing cache manifest from reg.example/app:buildcache
#4 ERROR: reg.example/app:buildcache: not found
#6 [2/2] RUN make
#6 0.101 make: nothing to be done
#6 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
"""
EMULATION = """\
#7 [linux/arm64 2/2] RUN echo hello
#7 0.153 exec /bin/sh: exec format error
#7 ERROR: process "/bin/sh -c echo hello" did not complete successfully: exit code: 255
"""
REFUSED = """\
#9 exporting to image
#9 pushing layers 0.1s done
#9 ERROR: failed to push reg.example/app:1: failed to authorize: 401 Unauthorized
"""


def _fault_of(said: str) -> UserFault | EnvironmentFault:
    return build_fault(said, where="image `app`", dockerfile="app/Dockerfile", platforms="linux/amd64, linux/arm64")


def test_a_cache_that_is_not_there_yet_is_no_failure() -> None:
    assert failing_step(MISSING_CACHE) == (
        "[2/2] RUN make",
        ["make: nothing to be done", 'process "/bin/sh -c make" did not complete successfully: exit code: 2'],
    )
    assert failing_step(MISSING_CACHE.partition("#6")[0]) is None


def test_a_platform_without_emulation_is_one_fault_of_the_machine() -> None:
    fault = _fault_of(EMULATION)
    assert isinstance(fault, EnvironmentFault)
    assert "[linux/arm64 2/2] RUN echo hello" in fault.faults[0].what
    assert "takes emulation on the builder" in fault.faults[0].fix


def test_a_registry_that_refuses_is_one_fault_and_not_the_dockerfiles() -> None:
    fault = _fault_of(REFUSED)
    assert isinstance(fault, EnvironmentFault)
    assert "docker login" in fault.faults[0].fix


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: Cache export is not supported for the docker driver.", "builder: container"),
        ("ERROR: failed to push r: denied: requested access to the resource is denied", "docker login"),
        ("http: server gave HTTP response to HTTPS client", "buildkitd.toml"),
    ],
)
def test_each_message_of_buildx_leads_to_one_remedy(said: str, words: str) -> None:
    (fault,) = _fault_of(said).faults
    assert words in fault.fix
