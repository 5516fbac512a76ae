"""The commands of the workflows' steps, run as a runner runs them, with stand-ins for GitHub, AWS and Pulumi."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.llmos.against.conftest import Checkout, checkout
from tests.support import ROOT

__all__ = ["checkout"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the runners of these workflows are Linux")
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_MARKER = "<!-- llmagentos preview -->"
# A stand-in: notes its arguments and answers with what the test laid down for the first of `answers` that matches.
_PROGRAM = """#!{python}
import json, os, sys
name, words = {name!r}, sys.argv[1:]
open({log!r}, "a", encoding="utf-8").write(json.dumps([name, *words]) + "\\n")
for start, (code, out) in json.load(open({answers!r}, encoding="utf-8")).items():
    if " ".join([name, *words]).startswith(start):
        print(out)
        sys.exit(code)
"""
# `python -m llmos` without the making of a virtual environment, which a test run already is in.
_PYTHON = """#!/bin/sh
if [ "$1" = -m ] && [ "$2" = llmos ]; then
  shift 2
  [ "$1" = {real} ] || {{ [ -n "$STANDIN_LLMOS" ] && exec llmos "$@"; }}
  exec {python} -c 'import sys; from llmos.cli import run; from llmos.failures import reported
with reported(debug=False) as outcome: outcome.exit_code = run(sys.argv[1:])
sys.exit(outcome.exit_code)' "$@"
fi
exec {python} "$@"
"""


@dataclass
class Runner:
    """A machine that runs steps in a checkout."""

    root: Path
    folder: Path
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bin.mkdir(parents=True)
        python = _PYTHON.format(python=sys.executable, real="preview")
        programs = {"python": python}
        for name in ("gh", "aws", "llmos"):
            programs[name] = _PROGRAM.format(
                python=sys.executable, name=name, log=str(self.log), answers=str(self.folder / "answers.json")
            )
        for name, text in programs.items():
            (self.bin / name).write_text(text, encoding="utf-8")
            (self.bin / name).chmod(0o755)
        self.log.touch()

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def log(self) -> Path:
        return self.folder / "calls.jsonl"

    def calls(self, name: str) -> list[list[str]]:
        lines = map(json.loads, self.log.read_text(encoding="utf-8").splitlines())
        return [words[1:] for words in lines if words[0] == name]

    def run(self, script: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        (self.folder / "answers.json").write_text(json.dumps(self.answers), encoding="utf-8")
        files = {name: str(self.folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            Path(file).touch()
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("LLMOS_", "GITHUB_"))},
            **files, "RUNNER_TEMP": str(self.folder), "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "RETRY_SECONDS": "0 0", "LLMOS_CACHE_DIR": str(self.folder / "cache"), **env,
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=self.root, env=environment,
            capture_output=True, text=True, encoding="utf-8", stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        for line in Path(files["GITHUB_OUTPUT"]).read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            self.outputs[name] = value
        return done


def steps(workflow: str, job: str) -> dict[str, dict[str, Any]]:
    """The steps of a job that run commands, by name."""
    document = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text(encoding="utf-8"))
    found = document["jobs"][job]["steps"]
    return {step["name"]: step for step in found if "run" in step}


def resolved(step: Mapping[str, Any], context: Mapping[str, str]) -> dict[str, str]:
    """The step's variables, with each expression looked up in the context."""
    found = step.get("env", {})
    return {name: _EXPRESSION.sub(lambda match: context[match[1]], str(value)) for name, value in found.items()}


@pytest.fixture
def runner(checkout: Checkout, tmp_path: Path) -> Iterator[Runner]:
    for name in (".ci", "requirements.txt"):
        source, target = ROOT / name, checkout.root / name
        if not target.exists():
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    (checkout.root / ".gitignore").write_text("__pycache__/\n/preview/\n/promotion.*\n", encoding="utf-8")
    if checkout.git("status", "--porcelain"):
        checkout.commit("with the scripts of CI")
    yield Runner(root=checkout.root, folder=tmp_path)
    checkout.git("switch", "-q", "--force", "main")
    checkout.git("reset", "-q", "--hard", "HEAD")
    checkout.git("clean", "-fdxq")


def test_a_pull_request_is_compared_without_any_login(runner: Runner, checkout: Checkout) -> None:
    job = steps("preview", "offline")
    base = checkout.git("rev-parse", "HEAD")
    checkout.edit("Pulumi.prod.yaml", "replicas: 4", "replicas: 5")
    context = {"github.event.pull_request.base.sha": base, "github.event.pull_request.number": "12"}
    step = job["Compare every stack with the base"]
    done = runner.run(step["run"], resolved(step, context))
    assert done.returncode == 0, done.stderr
    assert json.loads(runner.outputs["touched"]) == ["prod"]
    assert json.loads(runner.outputs["deployable"]) == [{"stack": "prod", "environment": "prod"}]
    first = (runner.root / "preview" / "comment.md").read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"Monthly cost \+\$58[78] \(\$[\d,]+ -> \$[\d,]+\)", first)
    assert "Monthly cost" in (runner.folder / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")
    note = job["Note which pull request this is"]
    assert runner.run(note["run"], resolved(note, context)).returncode == 0
    assert (runner.root / "preview" / "number").read_text(encoding="utf-8") == "12\n"
    assert not runner.calls("gh"), "nothing was asked of anybody"


def test_a_refused_policy_fails_the_job_after_the_comment_is_written(runner: Runner, checkout: Checkout) -> None:
    checkout.edit("Pulumi.staging.yaml", "usd_per_month: 1500", "usd_per_month: 500")
    done = runner.run('bash .ci/compare "$BASE"', {"BASE": "HEAD"})
    assert done.returncode == 1
    assert "mandatory monthly-cost" in (runner.root / "preview" / "comment.md").read_text(encoding="utf-8")
    assert json.loads(runner.outputs["touched"]) == ["staging"]


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """What a preview left behind for its comment."""
    folder = tmp_path / "preview"
    folder.mkdir()
    body = f"Monthly cost +$412 ($1,830 -> $2,242)\n\n| stack |\n\n{_MARKER}\n"
    (folder / "comment.md").write_text(body, encoding="utf-8")
    (folder / "number").write_text("12\n", encoding="utf-8")
    return folder


def post(runner: Runner, *, head: str = "abc", existing: str = "") -> subprocess.CompletedProcess[str]:
    step = steps("comment", "comment")["Post the comment, or update the one that is there"]
    runner.answers = {"gh api repos/o/n/pulls/12": (0, head), "gh api --paginate": (0, existing)}
    context = {"github.token": "t", "github.repository": "o/n", "github.event.workflow_run.head_sha": "abc"}
    return runner.run(step["run"], resolved(step, context))


def test_the_comment_is_posted_once_and_then_updated_in_place(runner: Runner, left: Path) -> None:
    assert post(runner).returncode == 0
    *_, call = runner.calls("gh")
    assert call[:4] == ["api", "--method", "POST", "repos/o/n/issues/12/comments"]
    assert f"body=@{left / 'comment.md'}" in call
    assert post(runner, existing="77\n78").returncode == 0
    *_, call = runner.calls("gh")
    assert call[:4] == ["api", "--method", "PATCH", "repos/o/n/issues/comments/77"]
    listing = next(call for call in runner.calls("gh") if "--paginate" in call)
    assert _MARKER in listing[-1] and "Bot" in listing[-1], "a person's comment is never overwritten"


def test_a_pull_request_that_moved_on_is_left_alone(runner: Runner, left: Path) -> None:
    assert post(runner, head="another").returncode == 0
    assert not [call for call in runner.calls("gh") if "--method" in call]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("number", "12; rm -rf /\n", "no pull request's number"),
        ("number", "../../other\n", "no pull request's number"),
        ("comment.md", "Buy this\n", "does not begin with the cost"),
        ("comment.md", "Monthly cost +$1 ($1 -> $2)\n", "lacks the line"),
        ("comment.md", f"Monthly cost +$1 ($1 -> $2)\n{'x' * 65_536}\n{_MARKER}\n", "longer than a comment may be"),
    ],
)
def test_what_a_fork_left_behind_is_not_believed(
    file: str, text: str, words: str, runner: Runner, left: Path
) -> None:
    (left / file).write_text(text, encoding="utf-8")
    done = post(runner)
    assert done.returncode == 1 and words in done.stderr
    assert not [call for call in runner.calls("gh") if "--method" in call]


@pytest.mark.parametrize(
    ("codes", "command", "expected", "times"),
    [
        ([2, 2, 0], "doctor --stack prod", 0, 3),
        ([2, 2, 2, 2], "promote dev staging", 2, 3),
        ([1], "promote dev staging", 1, 1),
        ([2], "up --stack prod", 1, 0),
        ([2], "destroy --stack prod", 1, 0),
    ],
)
def test_only_what_is_safe_is_repeated(
    codes: list[int], command: str, expected: int, times: int, runner: Runner
) -> None:
    counter = runner.folder / "count"
    script = f"#!/bin/sh\nn=$(cat {counter} 2>/dev/null || echo 0)\necho $((n + 1)) > {counter}\n"
    script += "set -- " + " ".join(map(str, codes)) + "\nshift $n\nexit $1\n"
    (runner.bin / "python").write_text(script, encoding="utf-8")
    done = runner.run(f"bash .ci/retry python -m llmos {command}", {})
    assert done.returncode == expected, done.stderr
    assert int(counter.read_text() if counter.exists() else 0) == times


def test_the_cluster_is_reached_by_oidc_or_by_a_kubeconfig_that_only_the_runner_reads(runner: Runner) -> None:
    step = steps("deploy", "deploy")["Reach the cluster"]
    context = {"matrix.stack": "prod", "vars.EKS_CLUSTER": "main", "secrets.KUBECONFIG": ""}
    assert runner.run(step["run"], resolved(step, context)).returncode == 0
    assert runner.calls("aws") == [["eks", "update-kubeconfig", "--name", "main", "--alias", "prod"]]
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


def test_the_other_commands_say_what_they_mean(runner: Runner) -> None:
    """Those that only call the command line, with a stand-in for it."""
    chosen = [
        ("preview", "offline", "Test what all stacks have in common", {}),
        ("preview", "engine", "Make the virtual environment, with an offline preview of this stack",
         {"matrix.stack": "prod"}),
    ]  # fmt: skip
    (runner.bin / "python").write_text('#!/bin/sh\nshift 2\nexec llmos "$@"\n', encoding="utf-8")
    for workflow, job, name, context in chosen:
        step = steps(workflow, job)[name]
        assert runner.run(step["run"], resolved(step, context)).returncode == 0
    tests, preview = runner.calls("llmos")
    assert preview == ["preview", "--offline", "--stack", "prod"]
    assert tests[:2] == ["test", "--"] and all((ROOT / word).exists() for word in tests if word.startswith("tests/"))
    push, request = (steps(*place)[name] for *place, name in (
        ("deploy", "stacks", "Which stacks this push touches"),
        ("preview", "offline", "Compare every stack with the base"),
    ))  # fmt: skip
    assert push["run"].replace("BEFORE", "BASE") == request["run"], "which runs above"


def test_every_command_of_these_workflows_is_run_above() -> None:
    run_here = {
        ("preview", "offline"): {"Compare every stack with the base", "Note which pull request this is",
                                 "Test what all stacks have in common"},
        ("preview", "engine"): {"Make the virtual environment, with an offline preview of this stack",
                                "Reach the cluster"},
        ("comment", "comment"): {"Post the comment, or update the one that is there"},
        ("deploy", "stacks"): {"Which stacks this push touches", "Which stacks there are"},
        ("deploy", "deploy"): {"Reach the cluster", "Look for what would stop a deployment", "Deploy"},
        ("deploy", "propose"): {"Reach the cluster", "Open a pull request with the release"},
        ("deploy", "drift"): {"Reach the cluster", "Locks, pending operations, drift, logins"},
    }  # fmt: skip
    for (workflow, job), names in run_here.items():
        assert set(steps(workflow, job)) == names, (workflow, job)


def test_deployments_of_a_stack_wait_for_one_another_and_are_never_cut_off() -> None:
    document = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8"))
    for name in ("deploy", "drift"):
        job = document["jobs"][name]
        assert job["concurrency"] == {"group": "stack-${{ matrix.stack }}", "cancel-in-progress": False}
        assert job["environment"].startswith("${{ matrix.stack }}"), "its reviewers and its secrets"


def test_secrets_reach_no_job_that_runs_a_forks_code() -> None:
    preview = yaml.safe_load((ROOT / ".github" / "workflows" / "preview.yml").read_text(encoding="utf-8"))
    assert "secrets." not in json.dumps(preview["jobs"]["offline"])
    assert "head.repo.full_name == github.repository" in preview["jobs"]["engine"]["if"]
    comment = yaml.safe_load((ROOT / ".github" / "workflows" / "comment.yml").read_text(encoding="utf-8"))
    (takes,) = [s for s in comment["jobs"]["comment"]["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert "ref" not in takes["with"], "it takes the main branch"
