"""How images are built, as a stack file states it: defaults, what excludes what, and how a refusal reads."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from planner.faults import UserFault
from planner.machine import commit_epochs
from planner.plan import BuildsPlan, make_plan
from planner.settings import BUILDKIT_SCHEMES, parse

CLUSTER = {"target": "kubernetes", "context": "c", "environment": "dev", "registry": {"server": "reg.example/t"}}


def stack(builds: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    image = {"build": "./app"}
    return {**CLUSTER, "applications": {"a": {"image": image}}, **({"builds": builds} if builds else {}), **more}


def planned(builds: dict[str, Any] | None, **more: Any) -> BuildsPlan:
    return make_plan(parse(stack(builds, **more), where="Pulumi.t.yaml"), stack="t").builds


def faults(builds: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(UserFault) as caught:
        parse(stack(builds, **more), where="Pulumi.t.yaml")
    return [str(fault) for fault in caught.value.faults]


def test_each_target_has_its_default_builder() -> None:
    assert planned(None) == BuildsPlan(builder="container", name="")
    assert planned(None, target="local", context=None) == BuildsPlan(builder="engine", name="default")


def test_a_remote_builder_is_registered_under_the_stacks_name_or_the_stated_one() -> None:
    address = "tcp://b.example:1234"
    assert planned({"builder": "remote", "address": address}).name == "llmagentos-t"
    named = planned({"builder": "remote", "name": "team"})
    assert (named.name, named.address) == ("team", "")


def test_a_bill_of_materials_needs_a_scanner() -> None:
    assert planned({"sbom": True}).sbom_scanner == "docker.io/docker/buildkit-syft-scanner:stable-1"
    assert planned({"sbom": True, "sbom_scanner": "mirror.example/syft:1"}).sbom_scanner == "mirror.example/syft:1"
    assert planned({}).sbom_scanner == ""


@pytest.mark.parametrize(
    ("builds", "path", "words"),
    [
        ({"builder": "kaniko"}, "builds.builder", "'container', 'engine' or 'remote'"),
        ({"builder": "remote"}, "builds", "needs an address"),
        ({"address": "tcp://b:1"}, "builds", "go with builder remote only"),
        ({"builder": "remote", "address": "b.example:1234"}, "builds.address", "did you mean tcp://b.example:1234?"),
        ({"builder": "remote", "address": "https://b:1"}, "builds.address", "did you mean tcp://b:1?"),
        ({"builder": "remote", "address": "tcp://b"}, "builds.address", "must name host and port"),
        ({"builder": "remote", "address": "unix://run/b.sock"}, "builds.address", "absolute path"),
        ({"builder": "remote", "address": "ssh://u:pw@b"}, "builds.address", "must hold no password"),
        ({"builder": "remote", "address": "unix:///b.sock", "tls": {"ca": "c"}}, "builds", "tls goes with a tcp://"),
        ({"builder": "remote", "address": "tcp://b:1", "tls": {"ca": "c", "key": "k"}}, "builds.tls", "go together"),
        ({"builder": "engine", "name": "x"}, "builds", "name goes with builder container or remote"),
        ({"builder": "container", "name": "default"}, "builds", "say builder: engine"),
        ({"sbom_scanner": "a/b"}, "builds", "goes with sbom: true"),
        ({"cache": "s3"}, "builds.cache", "'none', 'inline' or 'registry'"),
        ({"timestamp": "fixed"}, "builds.timestamp", "did you mean `timestamps`?"),
        ({"builder": "engine", "sbom": True, "cache": "registry"}, "builds.builder", "cannot do sbom, cache registry"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_and_a_way_out(builds: dict[str, Any], path: str, words: str) -> None:
    matching = [fault for fault in faults(builds) if words in fault]
    assert len(matching) == 1, faults(builds)
    assert matching[0].startswith(f"Pulumi.t.yaml: {path}: ")
    assert "\n  To fix: " in matching[0]


def test_the_local_targets_own_builder_attaches_nothing() -> None:
    report = faults({"provenance": "max"}, target="local", context=None)
    assert any("own builder cannot do provenance" in fault and "container, remote" in fault for fault in report)


@pytest.mark.parametrize("role", ["ca", "cert", "key"])
def test_a_key_in_the_stack_file_is_refused_and_never_repeated(role: str) -> None:
    pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
    tls = {"ca": "ca.pem", "cert": "c.pem", "key": "k.pem", role: pem}
    report = "\n".join(faults({"builder": "remote", "address": "tcp://b:1", "tls": tls}))
    assert "plain text" in report
    assert "MHcCAQEE" not in report


@pytest.mark.parametrize("scheme", BUILDKIT_SCHEMES)
def test_every_way_that_buildx_knows_is_accepted(scheme: str) -> None:
    rest = {"tcp": "b:1234", "unix": "/run/b.sock", "npipe": "////./pipe/b"}.get(scheme, "b")
    assert planned({"builder": "remote", "address": f"{scheme}://{rest}"}).address == f"{scheme}://{rest}"


def test_the_plan_says_how_images_are_built(tmp_path: Path) -> None:
    raw = stack({"builder": "remote", "address": "tcp://b:1", "tls": {"ca": "ca.pem"}})
    document = yaml.safe_load(make_plan(parse(raw, where="f"), stack="t").to_json())
    assert document["builds"]["tls"] == {"ca": "ca.pem"}


def git(folder: Path, *arguments: str, date: str = "") -> None:
    env = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], env=env, check=True, capture_output=True)


def test_a_folder_has_the_time_of_its_own_last_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    git(tmp_path, "init")
    for name, date in (("one", "2025-01-01T00:00:00Z"), ("two", "2025-06-01T00:00:00Z")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-m", name, date=date)
    (tmp_path / "new").mkdir()
    found = commit_epochs(["./one", "./two", "./new"], project=tmp_path)
    assert found == {"./one": 1735689600, "./two": 1748736000}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert commit_epochs(["./one", "./new"], project=tmp_path) == {"./one": 1700000000, "./new": 1700000000}


def test_a_folder_outside_version_control_has_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_epochs(["./app"], project=tmp_path) == {}
    monkeypatch.setenv("PATH", "")
    assert commit_epochs(["./app"], project=tmp_path) == {}
