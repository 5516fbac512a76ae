"""A machine that runs the commands of workflows' steps, with stand-ins for GitHub, AWS and Pulumi."""

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

_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")

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
        for name in ("gh", "aws", "docker", "llmos"):
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
