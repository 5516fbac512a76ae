"""A real buildkitd as remote builder: two platforms, equal digests, caches, attestations, refusals.

The Dockerfiles only copy, or run a program that the test brings: no image of the internet and no emulation is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from llmos.cluster import gobuild, ports
from llmos.cluster.versions import GoModule, Program
from llmos.daemons import Daemon
from llmos.images import buildx, host, registry
from llmos.images.build import BuiltImage, build
from llmos.images.buildx import Builder, ensure_builder
from llmos.images.context import context_files
from llmos.images.options import BuildOptions, options_of
from llmos.images.remote import RemoteRegistry
from planner.faults import EnvironmentFault
from planner.plan import FIXED_EPOCH, BuildsPlan

_ROOT_ON_LINUX = sys.platform == "linux" and os.geteuid() == 0
pytestmark = [
    pytest.mark.xdist_group("docker"),
    pytest.mark.skipif(not _ROOT_ON_LINUX or shutil.which("runc") is None, reason="buildkitd needs root, Linux, runc"),
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="needs Debian's docker-registry"),
]

_BUILDKIT = GoModule(path="github.com/moby/buildkit", version="v0.34.2")
_BUILDX = GoModule(path="github.com/docker/buildx", version="v0.38.2")
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


def _program(name: str, module: GoModule, package: str) -> Path:
    found = shutil.which(name)
    if found:
        return Path(found)
    made = Program(name=name, module=module, package=f"{module.path}/cmd/{package}", version=module.version)
    try:
        return gobuild.build(made, go=gobuild.require_go(programs=1), progress=print)
    except EnvironmentFault as error:
        pytest.skip(f"{name} is neither on PATH nor can it be built: {error.faults[0].what}")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``buildkitd`` and ``docker-buildx``."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "buildkitd").symlink_to(_program("buildkitd", _BUILDKIT, "buildkitd"))
    (folder / "docker-buildx").symlink_to(_program("docker-buildx", _BUILDX, "buildx"))
    return folder


@pytest.fixture(scope="module", autouse=True)
def machine(programs: Path) -> Iterator[None]:
    """A cache folder and a local registry of the test's own, and no other buildx."""
    with tempfile.TemporaryDirectory(prefix="llmos-buildkit-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOS_CACHE_DIR", folder)
        patch.setenv("DOCKER_CONFIG", str(Path(folder, "docker")))
        patch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
        patch.setattr(buildx, "plugin_client", lambda: None)
        patch.setattr(host, "_pip_config_list", lambda: "")
        registry.ensure_registry(install=False)
        yield
        registry.stop_registry()


@dataclass(frozen=True)
class Server:
    """A running buildkitd."""

    options: BuildOptions

    def builder(self) -> Builder:
        return ensure_builder(self.options, install=False, why="testing")

    def forget(self) -> None:
        """Drop everything that it has cached."""
        assert self.builder().buildx(["prune", "--all", "--force", f"--builder={self.options.name}"]).returncode == 0


def _start(folder: Path, *, name: str, arguments: tuple[str, ...] = ()) -> tuple[Daemon, str]:
    address = f"tcp://127.0.0.1:{ports.choose(1)[0]}"
    command = ["buildkitd", f"--addr={address}", f"--root={folder / 'root'}", "--containerd-worker=false"]
    command += ["--oci-worker-net=host", f"--otel-socket-path={folder / 'otel.sock'}", *arguments]
    daemon = Daemon(name=name, command=command, state_dir=folder)
    daemon.start()
    return daemon, address


@pytest.fixture(scope="module")
def server(machine: None) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="llmos-buildkitd-") as folder:
        daemon, address = _start(Path(folder), name="buildkitd")
        made = Server(BuildOptions(builder="remote", name="test", address=address))
        try:
            daemon.wait_ready(lambda: _answers(made), timeout_seconds=60)
            yield made
        finally:
            daemon.stop(grace_seconds=10)


def _answers(server: Server) -> bool:
    try:
        return bool(server.builder())
    except EnvironmentFault:
        return False


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


def test_one_image_for_two_processors(server: Server, folder: Path) -> None:
    image = _build(server, folder, "two", platforms=BOTH)
    found = {entry["platform"]["architecture"] for entry in _content(image)["manifests"]}
    assert found == {"amd64", "arm64"}
    again = _build(server, folder, "two", platforms=BOTH)
    assert (again.digest, again.changed) == (image.digest, False)


def _touched(folder: Path, time: int) -> Path:
    for path in [folder, *folder.iterdir()]:
        os.utime(path, (time, time))
    return folder


def test_equal_content_gives_an_equal_digest_whenever_and_wherever_it_is_built(server: Server, folder: Path) -> None:
    fixed = replace(server.options, output=FIXED)
    digests = []
    for time in (1_600_000_000, 1_650_000_000):
        server.forget()
        image = _build(server, _touched(folder, time), f"same-{time}", options=fixed, platforms=BOTH)
        digests.append(image.digest)
    assert digests[0] == digests[1]


def test_layers_of_the_base_image_stay_as_they_are(server: Server, folder: Path) -> None:
    base = _build(server, folder, "base")
    (folder / "Dockerfile").write_text(f"FROM {base.ref}\nCOPY hello /again\n", encoding="utf-8")
    image = _build(server, folder, "on-base", options=replace(server.options, output=FIXED))
    own, above = _content(base)["layers"], _content(image)["layers"]
    assert [layer["digest"] for layer in above[:1]] == [layer["digest"] for layer in own]
    assert len(above) == 2


def test_without_rewriting_the_files_times_make_another_image(server: Server, folder: Path) -> None:
    digests = []
    for time in (1_600_000_000, 1_650_000_000):
        server.forget()
        digests.append(_build(server, _touched(folder, time), f"other-{time}").digest)
    assert digests[0] != digests[1]


def test_a_cache_in_the_registry_spares_a_fresh_builder_the_steps(server: Server, tmp_path: Path, monkeypatch) -> None:
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
    options = replace(server.options, cache_from=stated.cache_from, cache_to=stated.cache_to)
    server.forget()
    _build(server, tmp_path, "cached", options=options)  # there is no cache yet, which is no failure
    remote, _ = _registry()
    assert remote.manifest("cached", "buildcache") is not None
    server.forget()
    monkeypatch.setattr(Builder, "buildx", recorded)
    _build(server, tmp_path, "cached-again", options=options)
    assert said[-1].count("CACHED") == 2, "the steps of both stages, though only the last one is in the image"


def test_an_inline_cache_does_too(server: Server, folder: Path, monkeypatch) -> None:
    _, address = _registry()
    options = replace(
        server.options, cache_from=(f"type=registry,ref={address}/inline:latest",), cache_to=("type=inline",)
    )
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY hello /hello\nCOPY hello /again\n", encoding="utf-8")
    _build(server, folder, "inline", options=options)
    remote, _ = _registry()
    found = remote.manifest("inline", "latest")
    assert found is not None
    config = json.loads(remote.blob("inline", found.content["config"]["digest"]))
    assert "moby.buildkit.cache.v0" in config


def test_a_cache_that_the_registry_refuses_fails_no_build(server: Server, folder: Path) -> None:
    closed = f"127.0.0.1:{ports.choose(1)[0]}"
    options = replace(
        server.options, cache_from=(f"type=registry,ref={closed}/x:c",),
        cache_to=(f"type=registry,ref={closed}/x:c,mode=max,ignore-error=true",),
    )  # fmt: skip
    assert _build(server, folder, "uncached", options=options).digest


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


def test_nothing_is_attached_unless_it_is_asked_for(server: Server, folder: Path) -> None:
    assert "manifests" not in _content(_build(server, folder, "plain"))


def test_provenance_is_attached(server: Server, folder: Path) -> None:
    image = _build(server, folder, "proven", build_args={**EPOCH, "BUILDKIT_ATTEST_PROVENANCE": "mode=max"})
    (predicate,) = _predicates(image)
    assert predicate.startswith("https://slsa.dev/provenance/")


def test_a_bill_of_materials_is_attached_by_the_scanner_that_is_named(server: Server, folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("the test's scanner is compiled by Go")
    scanner = folder.parent / "scanner"
    scanner.mkdir()
    (scanner / "main.go").write_text(SCANNER, encoding="utf-8")
    environment = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOWORK": "off"}
    subprocess.run([go, "build", "-o", "scan", "main.go"], cwd=scanner, env=environment, check=True)
    (scanner / "Dockerfile").write_text('FROM scratch\nCOPY scan /scan\nENTRYPOINT ["/scan"]\n', encoding="utf-8")
    made = _build(server, scanner, "scanner")
    image = _build(server, folder, "listed", build_args={**EPOCH, "BUILDKIT_ATTEST_SBOM": f"generator={made.ref}"})
    assert _predicates(image) == {"https://spdx.dev/Document"}


def test_the_ignore_file_is_read_as_a_remote_builder_reads_it(server: Server, tmp_path: Path) -> None:
    names = ("a.txt", "b.md", "src/a.py", "src/a.pyc", "src/deep/c.py", "src/deep/keep.pyc", "docs/x", "docs/in/y")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text(
        "# comment\n/*.md\n**/*.pyc\n!src/**/keep.py?\ndocs/\n!docs/in\nDockerfile\n", encoding="utf-8"
    )
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="utf-8")
    local = tmp_path.parent / "exported"
    done = server.builder().buildx(["build", "--builder=test", f"--output=type=local,dest={local}", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    copied = {path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()}
    assert copied == set(context_files(tmp_path, dockerfile=tmp_path / "Dockerfile"))


def test_a_step_for_another_processor_is_one_fault_of_the_machine(server: Server, folder: Path) -> None:
    (folder / "hello").write_text("no program of any processor", encoding="utf-8")
    (folder / "hello").chmod(0o755)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY hello /hello\nRUN ["/hello"]\n', encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="exec format error") as caught:
        _build(server, folder, "foreign")
    assert "takes emulation on the builder" in caught.value.faults[0].fix


def test_a_registry_out_of_reach_is_one_fault_of_the_machine(server: Server, folder: Path) -> None:
    closed = f"127.0.0.1:{ports.choose(1)[0]}"
    with pytest.raises(EnvironmentFault, match="the build failed at `exporting to image`") as caught:
        _build(server, folder, f"{closed}/team/app")
    assert "the builder reaches it" in caught.value.faults[0].fix


def test_a_registry_that_wants_a_login_is_one_fault_of_the_machine(server: Server, folder: Path) -> None:
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
                _build(server, folder, f"{address}/team/app")
        finally:
            daemon.stop()
    (fault,) = caught.value.faults
    assert "docker login" in fault.fix


def test_a_daemon_that_wants_a_certificate_is_one_fault_and_takes_ours(machine: None, folder: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by openssl")
    with tempfile.TemporaryDirectory() as name:
        files = _certificates(Path(name))
        arguments = [f"--tls{role}={files[key]}" for role, key in (("cacert", "ca"), ("cert", "cert"), ("key", "key"))]
        daemon, address = _start(Path(name), name="guarded-buildkitd", arguments=tuple(arguments))
        options = BuildOptions(builder="remote", name="guarded", address=address, tls=files)
        try:
            daemon.wait_ready(lambda: _answers(Server(options)), timeout_seconds=60)
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
