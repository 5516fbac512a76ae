"""What version control knows: which commit a stack is deployed from, which of two commits is newer, older revisions."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

from llmos.paths import PROJECT_ROOT
from llmos.process import run
from llmos.stacks import Stack, lock_path
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["DIRTY", "commits_between", "deployed_commit", "export", "is_ancestor", "knows", "resolve"]

DIRTY = "-dirty"
"""Ends the name of a commit on top of which there were changes that nobody committed."""


def deployed_commit(stack: Stack) -> str:
    """The commit that a stack's images come from: the promoted release's, else the one checked out, with ``-dirty``
    behind it where a file that decides what is deployed differs from it; empty without git.

    ``LLMOS_SOURCE_COMMIT`` says it where a pipeline knows better. Files outside the project do not count.
    """
    given = stack.plan.source_commit or os.environ.get("LLMOS_SOURCE_COMMIT", "")
    if given:
        return given
    builds = [PROJECT_ROOT / image.build for image in stack.plan.images if image.build]
    paths = [PROJECT_ROOT / name for name in ("__main__.py", "Pulumi.yaml", "components", "planner")]
    paths += [stack.file, lock_path(stack.name), *builds]
    head = _git("rev-parse", "HEAD")
    if head is None:
        return ""
    inside = [str(path) for path in paths if path.resolve().is_relative_to(PROJECT_ROOT)]
    changed = _git("status", "--porcelain", "--untracked-files=all", "--", *inside)
    return head.strip() + (DIRTY if changed and changed.strip() else "")


def knows(commit: str) -> bool:
    """Whether this clone has the commit; a shallow one may not."""
    return _git("cat-file", "-e", f"{commit}^{{commit}}") is not None


def is_ancestor(older: str, newer: str) -> bool:
    """Whether ``newer`` contains ``older``; a commit contains itself."""
    return _git("merge-base", "--is-ancestor", older, newer) is not None


def commits_between(older: str, newer: str) -> list[str]:
    """One line for each commit that ``newer`` has and ``older`` lacks, newest first."""
    return (_git("log", "--oneline", "--no-decorate", f"{older}..{newer}") or "").splitlines()


def resolve(ref: str) -> str:
    """The commit that a branch, tag or commit names.

    Raises:
        UserFault: there is none of that name, or the project is not under version control.
    """
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found is not None:
        return found.strip()
    here = _git("rev-parse", "--git-dir") is not None
    what = f"git knows no commit `{ref}`" if here else f"{PROJECT_ROOT} is not under version control"
    fix = "name a branch, tag or commit; in a shallow clone fetch it first: `git fetch origin <ref>`"
    raise UserFault(Fault(what=what, where="git", fix=fix if here else "run it in a clone"))


def export(commit: str, folder: Path) -> None:
    """Write the files of a commit into a folder. The repository is only read: nothing of it is locked or changed."""
    command = ["git", "archive", "--format=tar", commit]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise UserFault(Fault(what=f"`git archive` failed: {said}", where=f"commit {commit}", fix="check the clone"))
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        # Python 3.11 has filters only from 3.11.4 on.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(folder)


def _git(*arguments: str) -> str | None:
    """What git prints; None where it is missing or fails."""
    try:
        done = run(["git", *arguments], cwd=PROJECT_ROOT, check=False)
    except EnvironmentFault:
        return None
    return done.stdout if done.returncode == 0 else None
