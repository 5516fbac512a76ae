"""Which of two releases is newer: the history of version control decides, never a clock."""

from __future__ import annotations

from llmos import git
from llmos.release.running import Running
from planner.faults import Fault, UserFault
from planner.lock import Release

__all__ = ["refuse_older", "refuse_uncommitted"]


def refuse_uncommitted(running: Running) -> None:
    """Raise UserFault where what runs was deployed from changes that nobody committed."""
    if running.source_commit.endswith(git.DIRTY):
        raise UserFault(
            Fault(
                what=f"it runs changes on top of {running.source_commit[:12]} that nobody committed, so nobody could "
                "review or rebuild it",
                where=f"stack {running.stack}",
                fix="commit them, `up` again, then promote",
            )
        )


def refuse_older(running: Running, before: Release, *, target: str, rollback: bool) -> None:
    """Raise UserFault when the target has a newer release than what is to be promoted, unless that is wanted.

    Args:
        running: what is to be promoted.
        before: the target's release.
        target: name of the target.
        rollback: take older ones.
    """
    here, there = running.source_commit, before.source_commit
    if rollback or not there or here == there:
        return
    names = f"{running.stack} runs {here[:12] or 'an unknown commit'} and {target} has {there[:12]}"
    again = f"to take it nevertheless: python3 -m llmos promote {running.stack} {target} --rollback"
    if not here:
        raise _fault(f"{names}, so it cannot be told which is newer", target, "", again)
    for commit in (here, there):
        if not git.knows(commit):
            raise _fault(
                f"{names}; this clone lacks {commit[:12]}, so it cannot be told which is newer", target,
                again, "git fetch --unshallow (in CI: check out with fetch-depth: 0)",
            )  # fmt: skip
    if git.is_ancestor(there, here):
        return
    if git.is_ancestor(here, there):
        count = len(git.commits_between(here, there))
        what = f"{names}, which is newer by {count} commit{'s' if count != 1 else ''}"
        fix = f"bring {running.stack} up to date first: python3 -m llmos up --stack {running.stack}"
        raise _fault(what, target, again, fix)
    raise _fault(f"{names}; neither contains the other", target, again, f"merge one into the other, then deploy "
                 f"{running.stack} and promote")  # fmt: skip


def _fault(what: str, target: str, nearest: str, fix: str) -> UserFault:
    return UserFault(Fault(what=what, where=f"locks/{target}.json: release.source_commit", nearest=nearest, fix=fix))
