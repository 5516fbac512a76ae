"""A real buildkitd as remote builder: two platforms, equal digests, caches, attestations.

The Dockerfiles only copy, or run a program that the test brings: no image of the internet and no emulation is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmos.cluster import ports
from llmos.images import registry
from llmos.images.build import BuiltImage
from llmos.images.buildx import Builder
from llmos.images.context import context_files
from llmos.images.options import options_of
from llmos.images.remote import RemoteRegistry
from planner.plan import BuildsPlan
from tests.e2e.buildkitd import EPOCH, NEEDED, Server, build_by, folder

__all__ = ["folder"]

pytestmark = [*NEEDED, pytest.mark.usefixtures("build_machine")]

BOTH = ("linux/amd64", "linux/arm64")
FIXED = "type=registry,rewrite-timestamp=true"

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


def _registry() -> tuple[RemoteRegistry, str]:
    found = registry.find_registry()
    assert found is not None
    return RemoteRegistry(host=found.address), found.address


def _content(image: BuiltImage) -> dict[str, Any]:
    remote, address = _registry()
    found = remote.manifest(image.ref.removeprefix(f"{address}/").partition("@")[0], image.digest)
    assert found is not None
    return found.content


def test_one_image_for_two_processors(buildkitd: Server, folder: Path) -> None:
    image = build_by(buildkitd, folder, "two", platforms=BOTH)
    found = {entry["platform"]["architecture"] for entry in _content(image)["manifests"]}
    assert found == {"amd64", "arm64"}
    again = build_by(buildkitd, folder, "two", platforms=BOTH)
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
        image = build_by(buildkitd, _touched(folder, time), f"same-{time}", options=fixed, platforms=BOTH)
        digests.append(image.digest)
    assert digests[0] == digests[1]


def test_layers_of_the_base_image_stay_as_they_are(buildkitd: Server, folder: Path) -> None:
    base = build_by(buildkitd, folder, "base")
    (folder / "Dockerfile").write_text(f"FROM {base.ref}\nCOPY hello /again\n", encoding="utf-8")
    image = build_by(buildkitd, folder, "on-base", options=replace(buildkitd.options, output=FIXED))
    own, above = _content(base)["layers"], _content(image)["layers"]
    assert [layer["digest"] for layer in above[:1]] == [layer["digest"] for layer in own]
    assert len(above) == 2


def test_without_rewriting_the_files_times_make_another_image(buildkitd: Server, folder: Path) -> None:
    digests = []
    for time in (1_600_000_000, 1_650_000_000):
        buildkitd.forget()
        digests.append(build_by(buildkitd, _touched(folder, time), f"other-{time}").digest)
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
    build_by(buildkitd, tmp_path, "cached", options=options)  # there is no cache yet, which is no failure
    remote, _ = _registry()
    assert remote.manifest("cached", "buildcache") is not None
    buildkitd.forget()
    monkeypatch.setattr(Builder, "buildx", recorded)
    build_by(buildkitd, tmp_path, "cached-again", options=options)
    assert said[-1].count("CACHED") == 2, "the steps of both stages, though only the last one is in the image"


def test_an_inline_cache_does_too(buildkitd: Server, folder: Path, monkeypatch) -> None:
    _, address = _registry()
    options = replace(
        buildkitd.options, cache_from=(f"type=registry,ref={address}/inline:latest",), cache_to=("type=inline",)
    )
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY hello /hello\nCOPY hello /again\n", encoding="utf-8")
    build_by(buildkitd, folder, "inline", options=options)
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
    assert build_by(buildkitd, folder, "uncached", options=options).digest


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
    assert "manifests" not in _content(build_by(buildkitd, folder, "plain"))


def test_provenance_is_attached(buildkitd: Server, folder: Path) -> None:
    image = build_by(buildkitd, folder, "proven", build_args={**EPOCH, "BUILDKIT_ATTEST_PROVENANCE": "mode=max"})
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
    made = build_by(buildkitd, scanner, "scanner")
    image = build_by(buildkitd, folder, "listed", build_args={**EPOCH, "BUILDKIT_ATTEST_SBOM": f"generator={made.ref}"})
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
