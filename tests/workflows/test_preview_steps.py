"""Commands of the workflows that preview a pull request and comment on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.llmos.against.conftest import Checkout
from tests.workflows.conftest import Runner, resolved, steps

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the runners of these workflows are Linux")

_MARKER = "<!-- llmagentos preview -->"


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
