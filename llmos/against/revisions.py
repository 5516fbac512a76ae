"""Rendering two revisions of the project at the same time, each by its own code, without touching the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from llmos import git
from llmos.against.compare import Comparison, compare
from llmos.paths import PROJECT_ROOT
from planner.faults import EnvironmentFault, Fault, UserFault, nearest

__all__ = ["compare_with"]

_SECONDS = 300
# What is special about this machine must not look like a difference between revisions.
_LEFT_OUT = (
    "LLMOS_REGISTRY", "LLMOS_BASE_IMAGE", "LLMOS_CA_BUNDLE", "LLMOS_PIP_CONFIG", "LLMOS_LOCKS", "LLMOS_STACK_FOLDER",
    "PYTHONPATH",
)  # fmt: skip
# Revisions from before there were snapshots know their preview, which names objects without their content.
_OLDER = (
    "import sys; from llmos.cli import run; from llmos.failures import reported\n"
    "with reported(debug=False): run(['preview', '--offline', '--json', '--stack', sys.argv[1]])"
)


def compare_with(ref: str, names: Sequence[str]) -> Comparison:
    """Compare the files as they lie here with a commit.

    Args:
        ref: branch, tag or commit.
        names: the stacks; all that one of the revisions has, by default.

    Raises:
        UserFault: git knows no such commit, or neither revision has a stack of that name.
        EnvironmentFault: a revision's code does not run.
    """
    commit = git.resolve(ref)
    with tempfile.TemporaryDirectory(prefix="llmos-against-") as folder, ThreadPoolExecutor(2) as pool:
        after = pool.submit(_snapshot, PROJECT_ROOT, names)
        before = pool.submit(_older, Path(folder), commit, names)
        sides = before.result(), after.result()
    missing = [name for name in names if name not in sides[0] and name not in sides[1]]
    if missing:
        raise UserFault(
            Fault(
                what=f"there is no Pulumi.{missing[0]}.yaml, neither here nor in {ref}", where="--stack",
                nearest=nearest(missing[0], {*_names(PROJECT_ROOT)}), fix="name a stack that one of them has",
            )
        )  # fmt: skip
    return compare(ref, commit, *sides)


def _older(folder: Path, commit: str, names: Sequence[str]) -> dict[str, Any]:
    git.export(commit, folder)
    if (folder / "llmos" / "snapshot.py").is_file():
        return _snapshot(folder, names)
    wanted = [name for name in _names(folder) if not names or name in names]
    return {name: _preview(folder, name) for name in wanted}


def _names(folder: Path) -> list[str]:
    return sorted(path.name.split(".")[1] for path in folder.glob("Pulumi.*.yaml"))


def _snapshot(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    done = _python(folder, "-m", "llmos.snapshot", *names)
    if done.returncode != 0:
        raise _broken(folder, done.stderr)
    return json.loads(done.stdout)["stacks"]


def _preview(folder: Path, name: str) -> dict[str, Any]:
    done = _python(folder, "-c", _OLDER, name)
    if not done.stdout.strip():
        said = done.stderr.strip().splitlines()
        what = " ".join(said[-3:]) or "it said nothing"
        return {"faults": [{"what": what, "where": f"Pulumi.{name}.yaml", "fix": "see that revision"}]}
    document = json.loads(done.stdout)
    return {key: document[key] for key in ("objects", "policy", "usd_per_month", "usd_per_month_min")}


def _python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env: Mapping[str, str] = {key: value for key, value in os.environ.items() if key not in _LEFT_OUT}
    try:
        return subprocess.run(
            [sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _broken(folder, f"it did not end in {_SECONDS} s") from error


def _broken(folder: Path, said: str) -> EnvironmentFault:
    which = "this revision" if folder == PROJECT_ROOT else "the older revision"
    last = "\n    ".join(said.strip().splitlines()[-6:])
    return EnvironmentFault(
        Fault(
            what=f"the code of {which} did not run:\n    {last}", where="preview --against",
            nearest="it runs with the packages installed for this revision",
            fix="name a later commit, or run `preview --json` in both and compare",
        )
    )  # fmt: skip
