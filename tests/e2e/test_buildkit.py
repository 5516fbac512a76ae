"""A real buildkitd as remote builder: two platforms, equal digests, caches, attestations, refusals.

The Dockerfiles only copy, or run a program that the test brings: no image of the internet and no emulation is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmos.cluster import ports
from llmos.daemons import Daemon
from llmos.images import registry
from llmos.images.build import BuiltImage, build
from llmos.images.buildx import Builder, ensure_builder
from llmos.images.context import context_files
from llmos.images.options import BuildOptions, options_of
from llmos.images.remote import RemoteRegistry
from planner.faults import EnvironmentFault
from planner.plan import FIXED_EPOCH, BuildsPlan
from tests.e2e.buildkitd import NEEDED, Server, start_buildkitd

pytestmark = [*NEEDED, pytest.mark.usefixtures("build_machine")]

BOTH = ("linux/amd64", "linux/arm64")
FIXED = "type=registry,rewrite-timestamp=true"
EPOCH = {"SOURCE_DATE_EPOCH": str(FIXED_EPOCH)}

# Lists no packages: what counts is that BuildKit runs it, and attaches what it wrote.
SCANNER = """\
package main

import ("os"; "path/filepath")

func main() {
	name := filepath.Base(os.Getenv("BUILDKIT_SCAN_SOURCE")) + ".spdx.json"
	text := `{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document", "predicate": {
		"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "test", "dataLicense": "CC0-1.0",
		"documentNamespace": "https://example.com/test", "creationInfo": {"creators": ["Tool: test"],
		"created": "2024-01-01T00:00:00Z"}}}`
	file := filepath.Join(os.Getenv("BUILDKIT_SCAN_DESTINATION"), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		panic(err)
	}
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build folder whose image copies one file."""
    made = tmp_path / "app"
    made.mkdir()
    (made / "Dockerfile").write_text("FROM scratch\nCOPY hello /hello\n", encoding="utf-8")
    (made / "hello").write_text("hello", encoding="utf-8")
    return made


def _registry() -> tuple[RemoteRegistry, str]:
    found = registry.find_registry()
    assert found is not None
    return RemoteRegistry(host=found.address), found.address


def _content(image: BuiltImage) -> dict[str, Any]:
    remote, address = _registry()
    found = remote.manifest(image.ref.removeprefix(f"{address}/").partition("@")[0], image.digest)
    assert found is not None
    return found.content


def _build(server: Server, folder: Path, repository: str, **more: Any) -> BuiltImage:
    values = {"build_args": EPOCH, "options": server.options, **more}
    return build(context=folder, repository=repository, install=False, **values)


def test_one_image_for_two_processors(buildkitd: Server, folder: Path) -> None:
    image = _build(buildkitd, folder, "two", platforms=BOTH)
    found = {entry["platform"]["architecture"] for entry in _content(image)["manifests"]}
    assert found == {"amd64", "arm64"}
    again = _build(buildkitd, folder, "two", platforms=BOTH)
    assert (again.digest, again.changed) == (image.digest, False)


def _touched(folder: Path, time: int) -> Path:
    for path in [folder, *folder.iterdir()]:
        os.utime(path, (time, time))
    return folder


def test_equal_content_gives_an_equal_digest_whenever_and_wherever_it_is_built(buildkitd: Server, folder: Path) -> None:
    fixed = replace(buildkitd.options, output=FIXED)
    digests = []
    for time in (1_600_000_000, 1_650_000_000):
        buildkitd.forget()
        image = _build(buildkitd, _touched(folder, time), f"same-{time}", options=fixed, platforms=BOTH)
        digests.append(image.digest)
    assert digests[0] == digests[1]


def test_layers_of_the_base_image_stay_as_they_are(buildkitd: Server, folder: Path) -> None:
    base = _build(buildkitd, folder, "base")
    (folder / "Dockerfile").write_text(f"FROM {base.ref}\nCOPY hello /again\n", encoding="utf-8")
    image = _build(buildkitd, folder, "on-base", options=replace(buildkitd.options, output=FIXED))
    own, above = _content(base)["layers"], _content(image)["layers"]
    assert [layer["digest"] for layer in above[:1]] == [layer["digest"] for layer in own]
    assert len(above) == 2


def test_without_rewriting_the_files_times_make_another_image(buildkitd: Server, folder: Path) -> None:
    digests = []
    for time in (1_600_000_000, 1_650_000_000):
        buildkitd.forget()
        digests.append(_build(buildkitd, _touched(folder, time), f"other-{time}").digest)
    assert digests[0] != digests[1]


def test_a_cache_in_the_registry_spares_a_fresh_builder_the_steps(
    buildkitd: Server, tmp_path: Path, monkeypatch
) -> None:
    said: list[str] = []
    original = Builder.buildx

    def recorded(self: Builder, arguments: Any, **more: Any) -> Any:
        done = original(self, arguments, **more)
        said.append(done.stderr)
        return done

    _, address = _registry()
    lines = ("FROM scratch AS first", "COPY hello /hello", "FROM first", "COPY other /other", "")
    (tmp_path / "Dockerfile").write_text("\n".join(lines), encoding="utf-8")
    for name in ("hello", "other"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    inputs = {
        "cacheFrom": [{"registry": {"ref": f"{address}/cached:buildcache"}}],
        "cacheTo": [{"registry": {"ref": f"{address}/cached:buildcache", "mode": "max", "ignoreError": True,
                                  "imageManifest": True, "ociMediaTypes": True}}],
    }  # fmt: skip
    stated = options_of(inputs, BuildsPlan(builder="remote"), project=tmp_path, stated=True)
    options = replace(buildkitd.options, cache_from=stated.cache_from, cache_to=stated.cache_to)
    buildkitd.forget()
    _build(buildkitd, tmp_path, "cached", options=options)  # there is no cache yet, which is no failure
    remote, _ = _registry()
    assert remote.manifest("cached", "buildcache") is not None
    buildkitd.forget()
    monkeypatch.setattr(Builder, "buildx", recorded)
    _build(buildkitd, tmp_path, "cached-again", options=options)
    assert said[-1].count("CACHED") == 2, "the steps of both stages, though only the last one is in the image"


def test_an_inline_cache_does_too(buildkitd: Server, folder: Path, monkeypatch) -> None:
    _, address = _registry()
    options = replace(
        buildkitd.options, cache_from=(f"type=registry,ref={address}/inline:latest",), cache_to=("type=inline",)
    )
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY hello /hello\nCOPY hello /again\n", encoding="utf-8")
    _build(buildkitd, folder, "inline", options=options)
    remote, _ = _registry()
    found = remote.manifest("inline", "latest")
    assert found is not None
    config = json.loads(remote.blob("inline", found.content["config"]["digest"]))
    assert "moby.buildkit.cache.v0" in config


def test_a_cache_that_the_registry_refuses_fails_no_build(buildkitd: Server, folder: Path) -> None:
    closed = f"127.0.0.1:{ports.choose(1)[0]}"
    options = replace(
        buildkitd.options, cache_from=(f"type=registry,ref={closed}/x:c",),
        cache_to=(f"type=registry,ref={closed}/x:c,mode=max,ignore-error=true",),
    )  # fmt: skip
    assert _build(buildkitd, folder, "uncached", options=options).digest


def _predicates(image: BuiltImage) -> set[str]:
    remote, address = _registry()
    repository = image.ref.removeprefix(f"{address}/").partition("@")[0]
    found = set()
    for entry in _content(image).get("manifests", []):
        if entry.get("annotations", {}).get("vnd.docker.reference.type") == "attestation-manifest":
            manifest = remote.manifest(repository, entry["digest"])
            assert manifest is not None
            found |= {layer["annotations"]["in-toto.io/predicate-type"] for layer in manifest.content["layers"]}
    return found


def test_nothing_is_attached_unless_it_is_asked_for(buildkitd: Server, folder: Path) -> None:
    assert "manifests" not in _content(_build(buildkitd, folder, "plain"))


def test_provenance_is_attached(buildkitd: Server, folder: Path) -> None:
    image = _build(buildkitd, folder, "proven", build_args={**EPOCH, "BUILDKIT_ATTEST_PROVENANCE": "mode=max"})
    (predicate,) = _predicates(image)
    assert predicate.startswith("https://slsa.dev/provenance/")


def test_a_bill_of_materials_is_attached_by_the_scanner_that_is_named(buildkitd: Server, folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("the test's scanner is compiled by Go")
    scanner = folder.parent / "scanner"
    scanner.mkdir()
    (scanner / "main.go").write_text(SCANNER, encoding="utf-8")
    environment = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOWORK": "off"}
    subprocess.run([go, "build", "-o", "scan", "main.go"], cwd=scanner, env=environment, check=True)
    (scanner / "Dockerfile").write_text('FROM scratch\nCOPY scan /scan\nENTRYPOINT ["/scan"]\n', encoding="utf-8")
    made = _build(buildkitd, scanner, "scanner")
    image = _build(buildkitd, folder, "listed", build_args={**EPOCH, "BUILDKIT_ATTEST_SBOM": f"generator={made.ref}"})
    assert _predicates(image) == {"https://spdx.dev/Document"}


def test_the_ignore_file_is_read_as_a_remote_builder_reads_it(buildkitd: Server, tmp_path: Path) -> None:
    names = ("a.txt", "b.md", "src/a.py", "src/a.pyc", "src/deep/c.py", "src/deep/keep.pyc", "docs/x", "docs/in/y")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text(
        "# comment\n/*.md\n**/*.pyc\n!src/**/keep.py?\ndocs/\n!docs/in\nDockerfile\n", encoding="utf-8"
    )
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="utf-8")
    local = tmp_path.parent / "exported"
    done = buildkitd.builder().buildx(["build", "--builder=test", f"--output=type=local,dest={local}", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    copied = {path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()}
    assert copied == set(context_files(tmp_path, dockerfile=tmp_path / "Dockerfile"))


def test_a_step_for_another_processor_is_one_fault_of_the_machine(buildkitd: Server, folder: Path) -> None:
    (folder / "hello").write_text("no program of any processor", encoding="utf-8")
    (folder / "hello").chmod(0o755)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY hello /hello\nRUN ["/hello"]\n', encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="exec format error") as caught:
        _build(buildkitd, folder, "foreign")
    assert "takes emulation on the builder" in caught.value.faults[0].fix


def test_a_registry_out_of_reach_is_one_fault_of_the_machine(buildkitd: Server, folder: Path) -> None:
    closed = f"127.0.0.1:{ports.choose(1)[0]}"
    with pytest.raises(EnvironmentFault, match="the build failed at `exporting to image`") as caught:
        _build(buildkitd, folder, f"{closed}/team/app")
    assert "the builder reaches it" in caught.value.faults[0].fix


def test_a_registry_that_wants_a_login_is_one_fault_of_the_machine(buildkitd: Server, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        address = f"127.0.0.1:{ports.choose(1)[0]}"
        text = (
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{name}/data'}}}}\nhttp: {{addr: '{address}'}}\n"
            "auth: {silly: {realm: test, service: test}}\n"
        )
        Path(name, "config.yml").write_text(text, encoding="utf-8")
        command = ["docker-registry", "serve", f"{name}/config.yml"]
        daemon = Daemon(name="guarded", command=command, state_dir=Path(name))
        daemon.start()
        try:
            daemon.wait_ready(lambda: not ports.is_free(int(address.rpartition(":")[2])), timeout_seconds=30)
            with pytest.raises(EnvironmentFault) as caught:
                _build(buildkitd, folder, f"{address}/team/app")
        finally:
            daemon.stop()
    (fault,) = caught.value.faults
    assert "docker login" in fault.fix


def test_a_daemon_that_wants_a_certificate_is_one_fault_and_takes_ours(folder: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by openssl")
    with tempfile.TemporaryDirectory() as name:
        files = _certificates(Path(name))
        arguments = [f"--tls{role}={files[key]}" for role, key in (("cacert", "ca"), ("cert", "cert"), ("key", "key"))]
        daemon, address = start_buildkitd(Path(name), name="guarded-buildkitd", arguments=tuple(arguments))
        options = BuildOptions(builder="remote", name="guarded", address=address, tls=files)
        try:
            daemon.wait_ready(Server(options).answers, timeout_seconds=60)
            assert _build(Server(options), folder, "guarded").digest
            refused = {
                "certificate required": {"ca": files["ca"]},
                "certificate verify failed": {**files, "ca": files["cert"]},
            }
            for said, tls in refused.items():
                with pytest.raises(EnvironmentFault, match="do not trust each other") as caught:
                    ensure_builder(replace(options, tls=tls), install=False, why="testing")
                (fault,) = caught.value.faults
                assert said in fault.what.lower().replace("_", " ")
                assert "builds.tls" in fault.fix
        finally:
            daemon.stop(grace_seconds=10)


def _certificates(folder: Path) -> dict[str, Path]:
    """An authority, and one certificate for both sides, valid for loopback."""
    files = {role: folder / f"{role}.pem" for role in ("ca", "cert", "key")}
    signer = folder / "ca-key.pem"
    common = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    authority = ["-subj", "/CN=test authority", "-keyout", str(signer), "-out", str(files["ca"])]
    own = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    own += ["-CA", str(files["ca"]), "-CAkey", str(signer), "-keyout", str(files["key"]), "-out", str(files["cert"])]
    for arguments in (authority, own):
        subprocess.run([*common, *arguments], check=True, capture_output=True)
    return files
