"""A real buildkitd, with a local registry and a cache folder of the test's own, for tests of remote builders."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmos.cluster import gobuild, ports
from llmos.cluster.versions import GoModule, Program
from llmos.daemons import Daemon
from llmos.images import buildx, host, registry
from llmos.images.build import BuiltImage, build
from llmos.images.buildx import Builder, ensure_builder
from llmos.images.options import BuildOptions
from planner.faults import EnvironmentFault
from planner.plan import FIXED_EPOCH

__all__ = [
    "EPOCH", "NEEDED", "Server", "build_by", "build_machine", "build_programs", "buildkitd", "folder",
    "start_buildkitd",
]  # fmt: skip

_ROOT_ON_LINUX = sys.platform == "linux" and os.geteuid() == 0
NEEDED = [
    pytest.mark.xdist_group("docker"),
    pytest.mark.skipif(not _ROOT_ON_LINUX or shutil.which("runc") is None, reason="buildkitd needs root, Linux, runc"),
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="needs Debian's docker-registry"),
]

EPOCH = {"SOURCE_DATE_EPOCH": str(FIXED_EPOCH)}
_BUILDKIT = GoModule(path="github.com/moby/buildkit", version="v0.34.2")
_BUILDX = GoModule(path="github.com/docker/buildx", version="v0.38.2")


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
def build_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``buildkitd`` and ``docker-buildx``."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "buildkitd").symlink_to(_program("buildkitd", _BUILDKIT, "buildkitd"))
    (folder / "docker-buildx").symlink_to(_program("docker-buildx", _BUILDX, "buildx"))
    return folder


@pytest.fixture(scope="module")
def build_machine(build_programs: Path) -> Iterator[None]:
    """A cache folder and a local registry of the test's own, and no other buildx."""
    with tempfile.TemporaryDirectory(prefix="llmos-buildkit-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOS_CACHE_DIR", folder)
        patch.setenv("DOCKER_CONFIG", str(Path(folder, "docker")))
        patch.setenv("PATH", os.pathsep.join([str(build_programs), os.environ["PATH"]]))
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

    def answers(self) -> bool:
        try:
            return bool(self.builder())
        except EnvironmentFault:
            return False

    def forget(self) -> None:
        """Drop everything that it has cached."""
        assert self.builder().buildx(["prune", "--all", "--force", f"--builder={self.options.name}"]).returncode == 0


def start_buildkitd(folder: Path, *, name: str, arguments: tuple[str, ...] = ()) -> tuple[Daemon, str]:
    address = f"tcp://127.0.0.1:{ports.choose(1)[0]}"
    command = ["buildkitd", f"--addr={address}", f"--root={folder / 'root'}", "--containerd-worker=false"]
    command += ["--oci-worker-net=host", f"--otel-socket-path={folder / 'otel.sock'}", *arguments]
    daemon = Daemon(name=name, command=command, state_dir=folder)
    daemon.start()
    return daemon, address


@pytest.fixture(scope="module")
def buildkitd(build_machine: None) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="llmos-buildkitd-") as folder:
        daemon, address = start_buildkitd(Path(folder), name="buildkitd")
        made = Server(BuildOptions(builder="remote", name="test", address=address))
        try:
            daemon.wait_ready(made.answers, timeout_seconds=60)
            yield made
        finally:
            daemon.stop(grace_seconds=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build folder whose image copies one file."""
    made = tmp_path / "app"
    made.mkdir()
    (made / "Dockerfile").write_text("FROM scratch\nCOPY hello /hello\n", encoding="utf-8")
    (made / "hello").write_text("hello", encoding="utf-8")
    return made


def build_by(server: Server, folder: Path, repository: str, **more: Any) -> BuiltImage:
    values = {"build_args": EPOCH, "options": server.options, **more}
    return build(context=folder, repository=repository, install=False, **values)
