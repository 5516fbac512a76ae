"""The workflows under ``.github/workflows``: what actionlint finds, and the house's own rules for them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.cluster.versions import PROGRAMS
from tests.support import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
# `owner/name@<40 hex> # v1.2.3`: a tag can be moved to other code, a commit cannot; the comment is for people.
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> Path:
    return request.param


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(document: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    for job in document["jobs"].values():
        yield from job.get("steps", ())


def test_actionlint_finds_nothing() -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("actionlint is built by Go, which is not on PATH")
    # Without shellcheck and pyflakes, which some machines have and others do not.
    command = [go, "run", ACTIONLINT, "-no-color", "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    if "dial tcp" in done.stderr or "no such host" in done.stderr:
        pytest.skip("actionlint's Go module cannot be downloaded from here")
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_something_to_lint() -> None:
    assert "ci" in {path.stem for path in WORKFLOWS}


def test_actions_are_pinned_to_commits(workflow: Path) -> None:
    lines = [line.strip() for line in workflow.read_text(encoding="utf-8").splitlines()]
    used = [line.removeprefix("- ").removeprefix("uses: ") for line in lines if "uses: " in line]
    assert used
    assert not [action for action in used if not action.startswith("./") and not PINNED.fullmatch(action)]


def test_permissions_are_the_least(workflow: Path) -> None:
    document = read(workflow)
    granted = document.get("permissions")
    assert isinstance(granted, dict), "without this key the token may write everything"
    assert "write" not in granted.values(), "what writes is granted to the one job that does"


def test_no_job_keeps_the_token_or_runs_for_ever(workflow: Path) -> None:
    document = read(workflow)
    for name, job in document["jobs"].items():
        # A job that only calls another workflow has its limit there.
        assert "uses" in job or 0 < job["timeout-minutes"] <= 120, name
    for step in steps(document):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_a_text_of_the_event_never_becomes_a_command(workflow: Path) -> None:
    for step in steps(read(workflow)):
        assert "${{ github.event." not in step.get("run", ""), "pass it through env, or its author runs commands"


def test_every_supported_python_and_system_is_tested() -> None:
    matrix = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["portable"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert {runner.split("-")[0] for runner in matrix["runner"]} == {"ubuntu", "macos", "windows"}
    assert "ubuntu-24.04-arm" in matrix["runner"]
    lowest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert lowest and lowest[1] == matrix["python"][0]


def test_caches_change_with_what_they_hold(workflow: Path) -> None:
    for step in steps(read(workflow)):
        if step.get("uses", "").startswith("actions/cache@"):
            key = step["with"]["key"]
            assert "runner.os" in key and "runner.arch" in key
            files = re.findall(r"'([^']+)'", "".join(re.findall(r"hashFiles\([^)]*\)", key)))
            assert files and all(list(ROOT.glob(name)) for name in files)


def test_the_programs_of_the_cluster_have_their_versions_in_the_file_that_keys_their_cache() -> None:
    text = (ROOT / "llmos" / "cluster" / "versions.py").read_text(encoding="utf-8")
    assert all(f'"{program.version}"' in text for program in PROGRAMS)
