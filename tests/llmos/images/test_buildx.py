"""Builders outside the Docker engine: how they are found and registered, and what the pulumi engine is told of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from llmos.engines.pulumi_images import image_env
from llmos.images import buildx, host
from llmos.images.buildx import Builder, ensure_builder, register, require_reachable, store
from llmos.images.options import BuildOptions, options_of
from planner.faults import EnvironmentFault, UserFault
from planner.plan import BuildsPlan
from tests.llmos.images.conftest import engine_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-in programs are scripts")


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
    monkeypatch.setattr(buildx, "ensure_engine", lambda **_: engine_of(made, host="unix:///ours.sock"))
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
    engine = engine_of(stand_in("docker", {}), host="unix:///ours.sock", plugin=False)
    monkeypatch.setattr("llmos.engines.pulumi_images.ensure_engine", lambda **_: engine)
    monkeypatch.setattr(host, "_pip_config_list", lambda: "")
    env = image_env([tmp_path], options=BuildOptions(builder="container"), make=True, install=False)
    assert env["DOCKER_HOST"] == "unix:///ours.sock"
    with pytest.raises(EnvironmentFault, match="no buildx plugin"):
        image_env([tmp_path], options=BuildOptions(builder="engine"), make=True, install=False)
