"""Plain `pulumi` in a checkout, with nothing of ours between: as docs/pulumi.md and docs/adopting.md tell it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from llmos.kube import KubeObject
from tests.e2e.engine_stacks import NEEDED, EngineStack, application, engine_stack
from tests.e2e.test_engine_life import legacy_service
from tests.support import ROOT

__all__ = ["engine_stack"]

pytestmark = NEEDED

POLICIES = ("--policy-pack", "policies", "--policy-pack-config", "policies/config/dev.json")
PARTS = ("__main__.py", "Pulumi.yaml", "components", "planner", "policies", "requirements.txt")
UPSERT = {"PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true", "PULUMI_K8S_ENABLE_PATCH_FORCE": "true"}
Pulumi = Callable[..., str]


@pytest.fixture
def pulumi(engine_stack: EngineStack, tmp_path: Path) -> Pulumi:
    """The CLI in a checkout that has the program and the policies only: no `llmos`."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / part, checkout / part)
    (checkout / "venv").symlink_to(sys.prefix)

    def call(*words: str, code: int = 0, env: dict[str, str] | None = None) -> str:
        shutil.copyfile(engine_stack.file, checkout / engine_stack.file.name)
        _with_salt(checkout / engine_stack.file.name, state=checkout / "salt")
        stack = () if words[:2] == ("stack", "init") else ("--stack", engine_stack.name)
        done = subprocess.run(
            ["pulumi", *words, "--non-interactive", *stack],
            cwd=checkout, env=os.environ | (env or {}), capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        _keep_salt(checkout / engine_stack.file.name, state=checkout / "salt")
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == bool(code), said
        return said

    return call


def _with_salt(file: Path, *, state: Path) -> None:
    """What `pulumi stack init` wrote into the stack file, into which the test writes anew."""
    if state.exists():
        file.write_text(file.read_text("utf-8") + state.read_text("utf-8"), encoding="utf-8")


def _keep_salt(file: Path, *, state: Path) -> None:
    salt = yaml.safe_load(file.read_text("utf-8")).get("encryptionsalt")
    state.write_text(f"encryptionsalt: {salt}\n" if salt else "", encoding="utf-8")


def changes(said: str) -> dict[str, int]:
    """Counts of the summary, e.g. ``created``."""
    lines = said.split("Resources:")[-1].splitlines()
    found = [line.split("(")[0].split() for line in lines if line.startswith("    ")]
    return {words[-1]: int(words[-2]) for words in found if len(words) >= 2 and words[-2].isdigit()}


def test_it_deploys_leaves_alone_adopts_and_destroys(engine_stack: EngineStack, pulumi: Pulumi) -> None:
    stack = engine_stack
    stack.write({"web": application()})
    pulumi("stack", "init", stack.name)
    said = pulumi("preview", "--policy-pack", "policies", code=1)
    assert "replace-protection" in said and "public-tls" in said, "without a configuration the pack applies prod"
    said = pulumi("preview", *POLICIES)
    assert "llmagentos" in said and stack.live("namespace", stack.namespace) is None
    assert changes(pulumi("up", "--yes", *POLICIES))["created"] > 10
    deployment = stack.live("deployment", "web")
    assert deployment and deployment["status"]["availableReplicas"] == 2
    assert set(changes(pulumi("up", "--yes", *POLICIES))) == {"unchanged"}

    stack.apply(legacy_service("other"))
    before = stack.live("service", "other")
    stack.write({"web": application(), "other": application(replicas=1, endpoint={"type": "ClusterIP"})})
    assert 'services "other" already exists' in pulumi("up", "--yes", *POLICIES, code=1)
    assert stack.live("service", "other") == before
    pulumi("up", "--yes", *POLICIES, env=UPSERT)
    taken = stack.live("service", "other")
    assert before and taken and is_same(before, taken) and taken["metadata"]["labels"]["team"] == "a"
    assert taken["spec"]["selector"]["app.kubernetes.io/name"] == "other"
    assert "replaced" not in changes(pulumi("up", "--yes", *POLICIES))
    state = json.loads(pulumi("stack", "export"))
    assert not [found for found in state["deployment"]["resources"] if found.get("protect")]

    pulumi("destroy", "--yes")
    assert stack.live("namespace", stack.namespace) is None


def is_same(one: KubeObject, other: KubeObject) -> bool:
    return bool(one["metadata"]["uid"] == other["metadata"]["uid"])
