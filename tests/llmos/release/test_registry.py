"""Registries: logins, whole images, copies that keep every digest, references."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmos.images.credentials import login_for
from llmos.images.reference import parse_reference
from llmos.images.remote import RemoteRegistry
from llmos.release.copying import copy_image
from llmos.release.served import verify_served
from llmos.release.signatures import signatures_of
from planner.faults import EnvironmentFault, UserFault
from tests.llmos.release.registry import FakeRegistry, digest_of, serving

APP = "dev/app"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving(FakeRegistry()) as running:
        yield running


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Docker client's folder of the test's own, where nobody has logged in."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def log_in(file: Path, host: str, login: str) -> None:
    auth = base64.b64encode(login.encode()).decode()
    file.write_text(json.dumps({"auths": {host: {"auth": auth}}}), encoding="utf-8")


def verify(registry: FakeRegistry, digest: str, *platforms: str) -> tuple[str, ...]:
    image = parse_reference(f"{registry.address}/{APP}@{digest}")
    return verify_served(image, RemoteRegistry(host=registry.address), platforms=platforms, where="app").platforms


def test_an_image_is_there_when_every_platform_and_layer_is(registry: FakeRegistry) -> None:
    digest = registry.index(APP, "amd64", "arm64", attested=True)
    assert verify(registry, digest, "linux/arm64") == ("linux/amd64", "linux/arm64")
    single = registry.image(APP)
    assert verify(registry, single) == ("linux/amd64",)
    with pytest.raises(UserFault, match="not there for linux/s390x"):
        verify(registry, digest, "linux/s390x")


@pytest.mark.parametrize("what", ["index", "platform", "layer"])
def test_whatever_is_gone_is_named(registry: FakeRegistry, what: str) -> None:
    digest = registry.index(APP, "amd64", "arm64")
    arm = registry.manifests[APP, "one-arm64"][1]
    layer = json.loads(arm)["layers"][0]["digest"]
    gone = {"index": digest, "platform": digest_of(arm), "layer": layer}[what]
    registry.manifests.pop((APP, gone), None)
    registry.blobs.pop((APP, gone), None)
    with pytest.raises(UserFault) as refused:
        verify(registry, digest)
    assert gone in refused.value.faults[0].what


def test_a_registry_that_serves_something_else_is_not_believed(registry: FakeRegistry) -> None:
    digest = registry.image(APP)
    registry.manifests[APP, digest] = ("application/vnd.oci.image.manifest.v1+json", b"{}")
    with pytest.raises(EnvironmentFault, match="serves sha256:44136fa"):
        verify(registry, digest)


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_the_docker_clients_login_is_used(registry: FakeRegistry, docker_config: Path, scheme: str) -> None:
    registry.login, registry.scheme = "me:secret", scheme
    digest = registry.image(APP)
    with pytest.raises(EnvironmentFault, match=f"docker login {registry.address}") as refused:
        verify(registry, digest)
    assert "with no login" in str(refused.value)
    log_in(docker_config, registry.address, "me:wrong")
    with pytest.raises(EnvironmentFault, match="401, with the login of me") as refused:
        verify(registry, digest)
    assert "wrong" not in str(refused.value), "the password is not repeated"
    log_in(docker_config, registry.address, "me:secret")
    assert verify(registry, digest) == ("linux/amd64",)


@pytest.mark.skipif(os.name != "posix", reason="Windows does not start a script by its first line")
def test_a_credential_helper_is_asked(docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-vault"
    helper.write_text('#!/bin/sh\nread host\nprintf \'{"Username": "%s", "Secret": "s"}\' "$host"\n', encoding="utf-8")
    helper.chmod(helper.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    docker_config.write_text(json.dumps({"credHelpers": {"r.example": "vault"}, "credsStore": "none"}), "utf-8")
    found = login_for("r.example")
    assert found and (found.user, found.password) == ("r.example", "s") and "s'" not in repr(found)
    assert login_for("other.example") is None
    docker_config.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"identitytoken": "t"}}}), "utf-8")
    hub = login_for("docker.io")
    assert hub and hub.is_token


def test_the_login_of_ecr_comes_from_aws() -> None:
    ecr = RemoteRegistry(host="123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    said = str(ecr._refused(401, APP, push=False))
    assert "aws ecr get-login-password --region eu-west-1 | docker login --username AWS" in said


def test_nobody_answers(registry: FakeRegistry) -> None:
    with pytest.raises(EnvironmentFault, match="does not answer"):
        RemoteRegistry(host="127.0.0.1:1").manifest(APP, "t")


@pytest.mark.parametrize("login", ["", "me:secret"])
def test_a_copy_has_the_same_digests_and_its_signatures(
    registry: FakeRegistry, docker_config: Path, login: str
) -> None:
    digest = registry.index(APP, "amd64", "arm64", attested=True)
    registry.sign(APP, digest, b"{}", "c2ln")
    with serving(FakeRegistry(login=login, scheme="Bearer")) as other:
        log_in(docker_config, other.address, login or "x:y")
        source = parse_reference(f"{registry.address}/{APP}:v1@{digest}")
        target = source.at(f"{other.address}/team")
        assert target.name == f"{other.address}/team/app"
        ends = RemoteRegistry(host=source.host), RemoteRegistry(host=target.host)
        copy_image(source, target, ends)
        seen = verify_served(target, ends[1], platforms=("linux/arm64",), where="copy")
        assert seen.attested == ("https://slsa.dev/provenance/v1",)
        assert ("team/app", "v1") in other.manifests, "a tag keeps registries from cleaning it up"
        (signature,) = signatures_of(target, ends[1])
        assert (signature.payload, signature.signature) == ("e30=", "c2ln")
        before = [call for call in other.asked if call.startswith("PUT") and "blobs" in call]
        copy_image(source, target, ends)
        after = [call for call in other.asked if call.startswith("PUT") and "blobs" in call]
        assert before == after, "what is there is not sent again"


_NAME = st.from_regex(r"[a-z][a-z0-9]{0,8}(/[a-z][a-z0-9]{0,8}){0,2}", fullmatch=True)


@given(
    host=st.sampled_from(["ghcr.io", "127.0.0.1:5000", "localhost", "r.example.com:443"]), repository=_NAME,
    tag=st.sampled_from(["", "v1.2", "latest"]), digest=st.sampled_from(["", "sha256:" + "a" * 64]),
)  # fmt: skip
def test_references_come_back_as_they_were(host: str, repository: str, tag: str, digest: str) -> None:
    text = f"{host}/{repository}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    found = parse_reference(text)
    assert str(found) == text and (found.host, found.repository, found.tag, found.digest) == (
        host, repository, tag, digest,
    )  # fmt: skip


def test_short_names_are_docker_hubs() -> None:
    assert parse_reference("redis").name == "docker.io/library/redis"
    assert parse_reference("vllm/vllm-openai:v1").name == "docker.io/vllm/vllm-openai"
    with pytest.raises(ValueError, match="no image reference"):
        parse_reference("a@sha256:short")
