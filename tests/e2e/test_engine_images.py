"""The image component on the real Pulumi engine and its build provider, with a real buildkitd."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from pulumi.automation import LocalWorkspace, Stack

from llmos.images import registry
from llmos.images.buildx import register, store
from llmos.images.remote import RemoteRegistry
from tests.e2e.buildkitd import NEEDED, Server
from tests.support import ROOT

pytestmark = [
    *NEEDED,
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="`pulumi` is not on PATH"),
    pytest.mark.usefixtures("build_machine"),
]

PROGRAM = """\
import sys

sys.path.insert(0, {root!r})

import pulumi
import pulumi_docker_build

from components.app_image import AppImage, AppImageArgs
from planner.plan import BuildsPlan

image = AppImage(
    "app",
    AppImageArgs(
        context="./app", repository={repository!r}, platforms=("linux/amd64", "linux/arm64"),
        builds=BuildsPlan(builder="remote", name="test", cache="registry"),
    ),
    pulumi.ResourceOptions(providers=[pulumi_docker_build.Provider("images")]),
)
pulumi.export("ref", image.ref)
"""


@pytest.fixture
def repository() -> str:
    found = registry.find_registry()
    assert found is not None
    return f"{found.address}/engine/app"


@pytest.fixture
def stack(tmp_path: Path, buildkitd: Server, repository: str, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A project with nothing but the component, its state in a folder."""
    register(buildkitd.options)
    (tmp_path / "state").mkdir()
    variables = {
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}", "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true", "BUILDX_CONFIG": str(store()),
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}}
    project = yaml.safe_dump({"name": "llmagentos", "runtime": runtime})
    (tmp_path / "Pulumi.yaml").write_text(project, encoding="utf-8")
    (tmp_path / "__main__.py").write_text(PROGRAM.format(root=str(ROOT), repository=repository), encoding="utf-8")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\nCOPY hello /hello\n", encoding="utf-8")
    (tmp_path / "app" / "hello").write_text("hello", encoding="utf-8")
    return Stack.create("test", LocalWorkspace(work_dir=str(tmp_path)))


def has(ref: str) -> bool:
    host, _, rest = ref.partition("/")
    name, _, digest = rest.partition("@")
    return RemoteRegistry(host=host).manifest(name, digest) is not None


def test_a_rebuild_with_the_same_digest_and_a_destroy_leave_the_image_alone(stack: Stack, repository: str) -> None:
    folder = Path(stack.workspace.work_dir) / "app"
    stack.preview()
    assert RemoteRegistry(host=repository.partition("/")[0]).digest("engine/app", "latest") is None, "nothing is built"
    ref = stack.up().outputs["ref"].value
    assert has(ref)
    assert set(stack.up().summary.resource_changes or {}) == {"same"}

    (folder / "Dockerfile").write_text("# a comment\nFROM scratch\nCOPY hello /hello\n", encoding="utf-8")
    os.utime(folder / "hello", (2_000_000_000, 2_000_000_000))
    again = stack.up()
    assert "update" in (again.summary.resource_changes or {}), "the provider saw the change, and built"
    assert again.outputs["ref"].value == ref
    assert has(ref)

    (folder / "hello").write_text("good bye", encoding="utf-8")
    other = stack.up().outputs["ref"].value
    assert other != ref
    assert has(ref) and has(other), "pods of the last rollout still pull the one, those of the next the other"

    stack.destroy()
    assert has(ref) and has(other)
