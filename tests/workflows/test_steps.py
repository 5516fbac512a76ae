"""What the workflows' steps have in common: what is repeated, that every command is run here, and who may do what."""

from __future__ import annotations

import json
import os

import pytest
import yaml

from tests.support import ROOT
from tests.workflows.conftest import Runner, resolved, steps

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the runners of these workflows are Linux")


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
