"""Promotion from stacks of the pulumi engine: outputs held against live objects, on any cluster or on EKS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.aws import stacks as aws_stacks
from tests.llmos.engines.pulumi_standin import Reply, Standin, install
from tests.llmos.release.conftest import REVISION, Project, Said, policies, project

__all__ = ["policies", "project"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows does not start a script by its first line")


@pytest.fixture
def standin(tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """A Pulumi CLI, beside the project's kubectl."""
    standin = install(tmp_path / "pulumi-bin")
    monkeypatch.setenv("PATH", os.pathsep.join([str(standin.bin), os.environ["PATH"]]))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return standin


def images(project: Project) -> tuple[dict[str, str], dict[str, str]]:
    """References of the application and of the model server, as the cluster has them."""
    found = {item["metadata"]["name"]: item["spec"]["template"]["spec"]["containers"][0]["image"]
             for item in project.live["deployments"]}  # fmt: skip
    return {"app": found["app"]}, {"chat": found["chat"]}


def exports(standin: Standin, project: Project, **changes: Any) -> None:
    """What the last `up` left in the state."""
    apps, servers = images(project)
    outputs = {"images": apps, "model_images": servers, "source_commit": project.git("rev-parse", "HEAD")} | changes
    standin.answer("stack output", Reply(stdout=json.dumps(outputs)))


def promote(project: Project, *words: str) -> Said:
    return project.llmos("promote", *(words or ("dev", "staging")), "--engine=pulumi")


def test_what_the_outputs_and_the_cluster_say_together_is_promoted(project: Project, standin: Standin) -> None:
    exports(standin, project)
    said = promote(project)
    assert said.code == 0, said.err
    release = json.loads(project.lock().read_text(encoding="utf-8"))["release"]
    assert (release["images"], release["model_images"]) == images(project)
    assert release["source_commit"] == project.git("rev-parse", "HEAD") and release["revisions"] == {"chat": REVISION}
    assert "pulumi engine" in release["promoted_by"]
    assert not [call for call in standin.calls() if call["argv"][0] in ("up", "refresh", "preview")], "only looked at"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": {"app": "r.example/app@sha256:" + "0" * 64}}, "refresh --stack dev, then python3 -m llmos up"),
        ({"model_images": {}}, "not what the last `up` that ended left"),
        ({"source_commit": "0" * 40 + "-dirty"}, "that nobody committed"),
    ],
)
def test_outputs_that_do_not_say_what_runs_stop_it(
    changes: dict[str, Any], words: str, project: Project, standin: Standin
) -> None:
    exports(standin, project, **changes)
    before = project.files()
    said = promote(project)
    assert said.code == 1 and words in said.err and said.err.count("error: ") == 1, said.err
    assert project.files() == before


_AWS = """#!/bin/sh
echo "$@" >> {log}
exit {code}
"""


def on_eks(project: Project, folder: Path, *, code: int = 0) -> Path:
    """dev on target aws, and an AWS CLI; returns what that was asked."""
    raw = aws_stacks.raw("aws-dev") | {key: project.read("dev")[key] for key in ("applications", "models")}
    project.write("dev", raw)
    (folder / "bin" / "aws").write_text(_AWS.format(log=folder / "aws.log", code=code), encoding="utf-8")
    (folder / "bin" / "aws").chmod(0o755)
    return folder / "aws.log"


def test_what_runs_on_eks_is_asked_of_eks(project: Project, standin: Standin, tmp_path: Path) -> None:
    asked = on_eks(project, tmp_path)
    exports(standin, project)
    said = promote(project)
    assert said.code == 0, said.err
    assert json.loads(project.lock().read_text(encoding="utf-8"))["release"]["images"] == images(project)[0]
    call = asked.read_text(encoding="utf-8").split()
    assert call[:2] == ["eks", "update-kubeconfig"] and "--region" in call
    file = Path(call[call.index("--kubeconfig") + 1])
    assert file.is_relative_to(tmp_path / "cache"), "the user's own kubeconfig stays as it is"


def test_an_expired_login_of_aws_is_said(project: Project, standin: Standin, tmp_path: Path) -> None:
    on_eks(project, tmp_path, code=255)
    before = project.files()
    said = promote(project)
    assert said.code == 2 and "aws sso login" in said.err and said.err.count("error: ") == 1, said.err
    assert project.files() == before


def test_the_state_of_a_stack_on_eks_is_looked_at(project: Project, standin: Standin, tmp_path: Path) -> None:
    on_eks(project, tmp_path)
    said = project.llmos("doctor", "--stack", "dev", "--engine=pulumi", "--no-drift", "--json")
    rows = {row["check"]: row["state"] for row in json.loads(said.out)["findings"]}
    assert said.code == 0 and rows == {
        "stack file": "ok", "cluster": "unknown", "state": "ok", "lock": "ok", "pending operations": "ok",
    }  # fmt: skip
