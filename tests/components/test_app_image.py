"""What the build provider gets: the inputs of docker-build 0.0.22, by builder, cache, platforms and attestations."""

from __future__ import annotations

import re
from typing import Any

import pulumi_docker_build as docker_build
import pytest
from pulumi._types import input_type_py_to_pulumi_names, input_type_types

from llmos.synth import UNKNOWN, _Monitor
from planner.plan import FIXED_EPOCH
from tests.support import DIGEST, synthesised

REPOSITORY = "reg.example/t/dev/a"


def resource(builds: dict[str, Any] | None = None, *, preview: bool = False, target: str = "kubernetes", **image: Any):
    cluster = {"context": "c", "environment": "dev", "registry": {"server": "reg.example/t"}}
    raw = {
        "target": target, **(cluster if target == "kubernetes" else {}),
        "applications": {"a": {"image": {"build": "./app", **image}}}, **({"builds": builds} if builds else {}),
    }  # fmt: skip
    (found,) = synthesised(raw, preview=preview).of_type("docker-build:index:Image")
    return found


def inputs(builds: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return resource(builds, **more).inputs


REMOTE = {"builder": "remote", "address": "tcp://b:1234"}
EVERYTHING = {**REMOTE, "cache": "registry", "sbom": True, "provenance": "max"}


def test_the_default_is_the_providers_own_choice_of_a_builder_container() -> None:
    made = inputs()
    assert "builder" not in made and made["exec"] is False
    assert made["network"] == "default", "a builder of the user's may not allow the host's"


def test_the_local_target_builds_with_the_engines_own_builder() -> None:
    made = inputs(target="local")
    assert (made["exec"], made["builder"], made["network"], made["push"]) == (True, {"name": "default"}, "host", True)


@pytest.mark.parametrize(
    ("builds", "builder"),
    [
        (REMOTE, {"name": "llmagentos-dev"}),
        ({"builder": "remote", "name": "team"}, {"name": "team"}),
        ({"builder": "container", "name": "team"}, {"name": "team"}),
    ],
)
def test_a_builder_is_named_and_asked_by_the_providers_own_client(builds: dict[str, Any], builder: Any) -> None:
    made = inputs(builds)
    assert (made["builder"], made["exec"]) == (builder, False)


def test_a_registry_cache_takes_every_layer_and_never_fails_the_build() -> None:
    made = inputs({"cache": "registry"})
    ref = f"{REPOSITORY}:buildcache"
    assert made["cacheFrom"] == [{"registry": {"ref": ref}}]
    assert made["cacheTo"] == [
        {"registry": {"ref": ref, "mode": "max", "ignoreError": True, "imageManifest": True, "ociMediaTypes": True}}
    ]


def test_an_inline_cache_comes_out_of_the_image_of_the_last_build() -> None:
    made = inputs({"cache": "inline"})
    assert made["cacheTo"] == [{"inline": {}}]
    assert made["cacheFrom"] == [{"registry": {"ref": made["tags"][0]}}]


def test_without_a_cache_none_is_named() -> None:
    assert {"cacheFrom", "cacheTo"}.isdisjoint(inputs())


def test_several_platforms_are_one_image() -> None:
    assert inputs(platforms=["linux/amd64", "linux/arm64"])["platforms"] == ["linux/amd64", "linux/arm64"]


def test_the_local_target_builds_for_the_machine_it_is_built_on() -> None:
    assert "platforms" not in inputs(target="local"), "on an ARM machine an image for x86-64 would need an emulator"
    assert inputs(target="local", platforms=["linux/arm64"])["platforms"] == ["linux/arm64"]
    assert inputs()["platforms"] == ["linux/amd64"], "a cluster's nodes are another matter"


def test_times_are_fixed_in_the_image_and_its_files() -> None:
    made = inputs()
    assert made["buildArgs"]["SOURCE_DATE_EPOCH"] == str(FIXED_EPOCH)
    assert (made["push"], made["exports"]) == (False, [{"raw": "type=registry,rewrite-timestamp=true"}])


def test_times_of_the_build_are_left_as_they_are() -> None:
    made = inputs({"timestamps": "build"})
    assert "SOURCE_DATE_EPOCH" not in made["buildArgs"]
    assert made["push"] is True and "exports" not in made


def test_times_of_the_commit_are_asked_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    assert inputs({"timestamps": "commit"})["buildArgs"]["SOURCE_DATE_EPOCH"] == "1750000000"
    assert inputs()["buildArgs"]["SOURCE_DATE_EPOCH"] == str(FIXED_EPOCH), "the plan asks for nothing of the machine"


def test_attestations_are_asked_for_only_when_stated() -> None:
    asked = inputs({"sbom": True, "sbom_scanner": "m.example/syft:1", "provenance": "max"})["buildArgs"]
    assert asked["BUILDKIT_ATTEST_SBOM"] == "generator=m.example/syft:1"
    assert asked["BUILDKIT_ATTEST_PROVENANCE"] == "mode=max"
    assert not [name for name in inputs()["buildArgs"] if "ATTEST" in name]


@pytest.mark.parametrize("builds", [None, EVERYTHING, {"cache": "inline"}, {"timestamps": "build"}])
@pytest.mark.parametrize("preview", [True, False])
def test_nothing_is_deleted_with_an_older_build_or_built_in_a_preview(builds: Any, preview: bool) -> None:
    image = resource(builds, preview=preview)
    assert image.options["retainOnDelete"] is True
    assert image.inputs["buildOnPreview"] is False


def _unknown_keys(value: Any, declared: Any) -> list[str]:
    """Keys of nested inputs that the SDK's types do not declare; the engine would hand them on without a word."""
    if isinstance(value, list):
        return [key for one in value for key in _unknown_keys(one, declared)]
    named = re.search(r"\b(\w+Args)\b", str(declared))
    if not isinstance(value, dict) or named is None:
        return []
    types = input_type_types(getattr(docker_build, named[1]))
    names = set(input_type_py_to_pulumi_names(getattr(docker_build, named[1])).values())
    unknown = [key for key in value if key not in names]
    return unknown + [key for wire in value if wire in names for key in _unknown_keys(value[wire], types[wire])]


@pytest.mark.parametrize("builds", [None, EVERYTHING, {"cache": "inline"}, {"builder": "engine"}])
def test_the_provider_knows_every_key(builds: Any) -> None:
    assert _unknown_keys({"cacheTo": [{"registry": {"ignore_errors": True}}]}, docker_build.ImageArgs)
    assert _unknown_keys(inputs(builds), docker_build.ImageArgs) == []


def test_no_key_of_a_builder_reaches_the_providers_inputs() -> None:
    tls = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    text = str(inputs({**REMOTE, "tls": tls}))
    assert "key.pem" not in text and "tcp://" not in text


@pytest.mark.parametrize("digest", ["", DIGEST])
def test_the_digest_of_a_folder_whose_files_changed_is_unknown_in_a_preview(
    digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider previews an empty one then, and the last one where nothing changed."""
    registered = _Monitor.RegisterResource

    def as_the_provider_does(self: _Monitor, request: Any) -> Any:
        answer = registered(self, request)
        if request.type == "docker-build:index:Image":
            answer.id = "built before"
            answer.object["digest"] = digest
        return answer

    monkeypatch.setattr(_Monitor, "RegisterResource", as_the_provider_does)
    program = synthesised({"target": "local", "applications": {"a": {"image": {"build": "./app"}}}}, preview=True)
    (found,) = program.of_type("kubernetes:apps/v1:Deployment")
    image = found.inputs["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith(f"/dev/a@{DIGEST}") if digest else image == UNKNOWN
