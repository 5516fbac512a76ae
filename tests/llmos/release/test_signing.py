"""Signing: when, with what words to cosign, and with the real one where it is on PATH."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmos.cluster.ports import is_free
from llmos.daemons import wait_until
from llmos.images import signing
from llmos.images.reference import parse_reference
from llmos.images.remote import Manifest, RemoteRegistry
from llmos.release.copying import copy_image
from llmos.release.running import built_references
from llmos.release.signatures import signatures_of
from llmos.stacks import load_stack
from planner.faults import EnvironmentFault, UserFault
from planner.settings import parse
from tests.llmos.release.registry import MANIFEST, FakeRegistry, digest_of, serving
from tests.support import ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows does not start a script by its first line")
_COSIGN = """#!/bin/sh
[ "$1" = version ] && {{ echo "GitVersion:    {version}"; exit 0; }}
echo "$@" >> {log}
exit {code}
"""


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving(FakeRegistry()) as running:
        yield running


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *, version: str = "v2.5.0", code: int = 0) -> Path:
    log = folder / "calls"
    (folder / "cosign").write_text(_COSIGN.format(version=version, log=log, code=code), encoding="utf-8")
    (folder / "cosign").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.mark.parametrize(("version", "bundles"), [("v2.4.3", False), ("v2.6.0", True), ("v3.0.6", True)])
def test_each_digest_is_signed_once_and_in_the_form_that_policies_verify(
    version: str, bundles: bool, registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = stand_in(tmp_path, monkeypatch, version=version)
    signed, bare = registry.image("dev/a", marker="a"), registry.image("dev/b", marker="b")
    registry.sign("dev/a", signed, b"{}", "c2ln")
    refs = [f"{registry.address}/dev/a@{signed}", f"{registry.address}/dev/b:t@{bare}"]
    signing.sign(refs * 2, key="env://COSIGN_PRIVATE_KEY")
    (call,) = log.read_text(encoding="utf-8").splitlines()
    assert call.startswith("sign --key env://COSIGN_PRIVATE_KEY --yes --tlog-upload=false")
    assert call.endswith(f"{registry.address}/dev/b@{bare}"), "by digest, never by tag"
    assert ("--new-bundle-format=false --use-signing-config=false" in call) is bundles


def test_a_missing_or_failing_cosign_is_said(
    registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = f"{registry.address}/dev/a@{registry.image('dev/a')}"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="cosign is not on PATH"):
        signing.sign([ref], key="k")
    stand_in(tmp_path, monkeypatch, code=1)
    with pytest.raises(EnvironmentFault, match="COSIGN_PASSWORD"):
        signing.sign([ref], key="k")


def test_a_key_itself_cannot_stand_in_a_stack_file() -> None:
    raw = {"target": "local", "applications": {"a": {"image": {"build": "./app"}}}}
    key = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"
    with pytest.raises(UserFault, match=r"builds\.signing_key"):
        parse({**raw, "builds": {"signing_key": key}}, where="P")
    assert parse({**raw, "builds": {"signing_key": "awskms:///alias/sign"}}, where="P").builds.signing_key


@pytest.fixture
def real_registry(tmp_path: Path) -> Iterator[str]:
    """Debian's docker-registry on a free port."""
    if not shutil.which("cosign") or not shutil.which("docker-registry"):
        pytest.skip("needs cosign and docker-registry on PATH")
    address = f"127.0.0.1:{next(port for port in range(5600, 65536) if is_free(port))}"
    config = {"version": "0.1", "storage": {"filesystem": {"rootdirectory": str(tmp_path / "data")}},
              "http": {"addr": address}}  # fmt: skip
    (tmp_path / "config.yml").write_text(json.dumps(config), encoding="utf-8")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(tmp_path / "config.yml")], stdout=log, stderr=log,
        )  # fmt: skip
    try:
        assert wait_until(lambda: _answers(address), timeout_seconds=30)
        yield address
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return RemoteRegistry(host=address).manifest("none", "none") is None
    except EnvironmentFault:
        return False


def _push(registry: RemoteRegistry) -> str:
    def blob(body: bytes, media_type: str) -> dict[str, object]:
        registry.push_blob("dev/app", digest_of(body), io.BytesIO(body), size=len(body))
        return {"mediaType": media_type, "digest": digest_of(body), "size": len(body)}

    kinds = "application/vnd.oci.image"
    config = blob(json.dumps({"os": "linux", "architecture": "amd64"}).encode(), f"{kinds}.config.v1+json")
    layer = blob(b"content", f"{kinds}.layer.v1.tar")
    content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    made = Manifest(body=json.dumps(content).encode(), media_type=MANIFEST)
    registry.push_manifest("dev/app", "v1", made)
    return made.digest


def test_the_real_cosign_signs_and_still_verifies_a_copy(
    real_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    subprocess.run(["cosign", "generate-key-pair"], cwd=tmp_path, check=True, capture_output=True)
    registry = RemoteRegistry(host=real_registry)
    image = parse_reference(f"{real_registry}/dev/app@{_push(registry)}")
    signing.sign([str(image)], key=str(tmp_path / "cosign.key"))
    (signature,) = signatures_of(image, registry)
    copy = image.at(f"{real_registry}/prod")
    copy_image(image, copy, (registry, registry))
    assert signatures_of(copy, registry) == (signature,)
    subprocess.run(
        ["cosign", "verify", "--key", str(tmp_path / "cosign.pub"), "--insecure-ignore-tlog=true", str(copy)],
        check=True, capture_output=True,
    )  # fmt: skip
    # The pack, by itself and in a process without a network address of the registry.
    program = (
        "import sys; sys.path[:0] = ['policies']\n"
        "from rules.signatures import _names, _verified\n"
        "payload, signature, key, digest = sys.argv[1:]\n"
        "sys.exit(not (_names(payload, digest) and _verified(payload, signature, (key,))))"
    )
    key = (tmp_path / "cosign.pub").read_text(encoding="utf-8")
    words = [signature.payload, signature.signature, key, image.digest]
    subprocess.run([sys.executable, "-c", program, *words], cwd=ROOT, check=True)


def test_what_a_stack_builds_is_what_is_signed() -> None:
    stack = load_stack("dev")
    outputs = {"images": {"assistant": "r/a@sha256:1", "other": "r/b@sha256:2"}}
    assert built_references(stack, outputs) == ["r/a@sha256:1"]
    assert built_references(stack, {}) == [] and built_references(load_stack("staging"), outputs) == []
