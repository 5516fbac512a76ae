"""Commands of the workflow that deploys stacks, looks for drift and proposes releases."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.llmos.against.conftest import Checkout
from tests.support import ROOT
from tests.workflows.conftest import Runner, resolved, steps

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the runners of these workflows are Linux")


def test_the_cluster_is_reached_by_oidc_or_by_a_kubeconfig_that_only_the_runner_reads(runner: Runner) -> None:
    step = steps("deploy", "deploy")["Reach the cluster"]
    context = {"matrix.stack": "prod", "vars.EKS_CLUSTER": "main", "secrets.KUBECONFIG": ""}
    variables = {**resolved(step, context), "AWS_REGION": ""}
    assert runner.run(step["run"], variables).returncode == 0
    assert runner.calls("aws") == [["eks", "update-kubeconfig", "--name", "main", "--alias", "prod"]]
    runner.answers = {"aws sts": (0, "123456789012")}
    assert runner.run(step["run"], {**variables, "AWS_REGION": "eu-west-1"}).returncode == 0
    (login,) = runner.calls("docker")
    assert login[0] == "login" and login[-1] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    context |= {"vars.EKS_CLUSTER": "", "secrets.KUBECONFIG": "apiVersion"}
    done = runner.run(step["run"], resolved(step, context))
    assert done.returncode == 0 and "apiVersion" not in done.stdout + done.stderr
    file = runner.folder / "kubeconfig"
    assert file.read_text() == "apiVersion" and file.stat().st_mode & 0o077 == 0
    assert f"KUBECONFIG={file}" in (runner.folder / "GITHUB_ENV").read_text(encoding="utf-8")


def test_a_deployment_is_looked_at_before_and_not_repeated(runner: Runner) -> None:
    job = steps("deploy", "deploy")
    for name in ("Look for what would stop a deployment", "Deploy"):
        step = job[name]
        done = runner.run(step["run"], {**resolved(step, {"matrix.stack": "staging"}), "STANDIN_LLMOS": "1"})
        assert done.returncode == 0, done.stderr
    assert runner.calls("llmos") == [
        ["doctor", "--stack", "staging", "--no-drift"], ["up", "--stack", "staging", "--engine", "pulumi", "--yes"],
    ]  # fmt: skip
    assert "retry" not in job["Deploy"]["run"]


def test_drift_fails_the_nightly_job_and_stands_in_its_summary(runner: Runner) -> None:
    step = steps("deploy", "drift")["Locks, pending operations, drift, logins"]
    runner.answers = {"llmos doctor": (1, "drift  wrong  2 objects")}
    done = runner.run(step["run"], {**resolved(step, {"matrix.stack": "prod"}), "STANDIN_LLMOS": "1"})
    assert done.returncode == 1
    assert "2 objects" in (runner.folder / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")


def propose(runner: Runner, *, pull_requests: str = "") -> subprocess.CompletedProcess[str]:
    step = steps("deploy", "propose")["Open a pull request with the release"]
    runner.answers = {"gh pr list": (0, pull_requests), "llmos promote": (0, "dev -> staging:")}
    context = {"matrix.stack": "dev", "secrets.PROMOTION_TOKEN || github.token": "t"}
    return runner.run(step["run"], {**resolved(step, context), "NEXT": "staging", "STANDIN_LLMOS": "1"})


def test_a_release_is_proposed_as_a_pull_request_that_changes_one_file(
    runner: Runner, checkout: Checkout, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "origin.git")], check=True)
    checkout.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    try:
        assert propose(runner).returncode == 0
        assert runner.calls("llmos") == [["promote", "dev", "staging"]]
        assert not [call for call in runner.calls("gh") if call[0] == "pr"], "nothing new, so nothing is proposed"
        (checkout.root / "locks").mkdir(exist_ok=True)
        (checkout.root / "locks" / "staging.json").write_text('{"release": {}}\n', encoding="utf-8")
        done = propose(runner)
        assert done.returncode == 0, done.stderr
        *_, created = runner.calls("gh")
        assert created[:6] == ["pr", "create", "--head", "promote/staging", "--base", "main"]
        changed = checkout.git("diff", "--name-only", "main", "promote/staging")
        assert changed == "locks/staging.json"
        pushed = subprocess.run(
            ["git", "-C", str(tmp_path / "origin.git"), "branch", "--list"], capture_output=True, text=True, check=True
        )
        assert "promote/staging" in pushed.stdout
        assert "dev -> staging:" in (checkout.root / "promotion.md").read_text(encoding="utf-8")
        checkout.git("switch", "-q", "main")
        (checkout.root / "locks").mkdir(exist_ok=True)
        (checkout.root / "locks" / "staging.json").write_text('{"release": {"a": 1}}\n', encoding="utf-8")
        assert propose(runner, pull_requests="3").returncode == 0
        *_, edited = runner.calls("gh")
        assert edited[:3] == ["pr", "edit", "promote/staging"], "one pull request, brought up to date"
    finally:
        checkout.git("remote", "remove", "origin")


def test_which_stack_follows_which(runner: Runner) -> None:
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    (table,) = re.findall(r"fromJSON\('(\{.*?\})'\)\[matrix\.stack\]", text)
    assert json.loads(table) == {"dev": "staging", "staging": "prod"}
    step = steps("deploy", "stacks")["Which stacks there are"]
    assert runner.run(step["run"], resolved(step, {"vars.STACKS": ""})).returncode == 0
    assert json.loads(runner.outputs["all"]) == ["staging", "prod"]
    assert runner.run(step["run"], resolved(step, {"vars.STACKS": '["eu"]'})).returncode == 0
    assert json.loads(runner.outputs["all"]) == ["eu"]
