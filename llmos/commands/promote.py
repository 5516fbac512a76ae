"""``promote``: what one stack was seen to run becomes the release of another, in its lock, to be reviewed like code."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmos import git
from llmos.builds import synth_preview
from llmos.console import note, step, warn
from llmos.eks import with_eks
from llmos.judging import judge, mandatory_faults
from llmos.lockfile import write_lock
from llmos.packs import Finding
from llmos.release.candidate import Candidate, Target, make_candidate
from llmos.release.order import refuse_older, refuse_uncommitted
from llmos.release.running import Running, read_running
from llmos.session import open_session, require_pulumi
from llmos.stacks import load_stack, locate_stack, lock_path, read_lock, read_stack_file
from planner.faults import Fault, UserFault
from planner.lock import Release, parse_lock, release_hash
from planner.settings import parse

__all__ = ["add_arguments", "run"]

_SHOWN_COMMITS = 10
_SIGNATURE_RULE = "image-signature"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FROM", help="the stack that runs what is to be promoted, e.g. dev")
    parser.add_argument("target", metavar="TO", help="the stack whose lock gets it, e.g. staging")
    parser.add_argument("--rollback", action="store_true", help="take a release older than the one that TO has")
    parser.add_argument(
        "--copy-to", default="", metavar="REGISTRY", help="first copy every image there (host/path), by digest"
    )
    parser.add_argument("--dry-run", action="store_true", help="verify everything, show the difference, write nothing")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument(
        "--engine", choices=("auto", "pulumi", "kubectl"), default="auto",
        help="engine that FROM was deployed by; auto asks its namespace",
    )


def run(args: argparse.Namespace) -> int:
    if args.source == args.target:
        what = f"`{args.source}` is named twice; a stack is promoted into another one"
        raise UserFault(Fault(what=what, where="promote", fix="promote FROM TO, e.g. promote dev staging"))
    target = _target(args.target)
    path = lock_path(args.target)
    content = read_lock(path)
    before = parse_lock(content, where=f"locks/{path.name}").release
    session = open_session(argparse.Namespace(**{**vars(args), "stack": args.source, "file": None}), start=False)
    require_pulumi(session, "promote")
    running = read_running(with_eks(session))
    refuse_uncommitted(running)
    refuse_older(running, before, target=target.name, rollback=args.rollback)
    candidate = make_candidate(running, session.stack, target, copy_to=args.copy_to.rstrip("/"))
    release = _release(candidate, running)
    changes = _changes(before, release)
    if changes:
        _judge(target, {**content, "release": release})
    written = bool(changes) and not args.dry_run and write_lock(path, {**content, "release": release})
    _say(args, target, release, changes, candidate, written=written)
    return 0


def _target(name: str) -> Target:
    name, path = locate_stack(name, file=None)
    settings = parse(read_stack_file(path), where=path.name)
    return Target(
        name=name, file=path.name, settings=settings, registry=settings.registry.server if settings.registry else ""
    )


def _release(candidate: Candidate, running: Running) -> dict[str, Any]:
    release = {
        **candidate.content(),
        "promoted_from": running.stack,
        "source_commit": running.source_commit,
        "promoted_at": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "promoted_by": f"llmos promote, which saw it run through the {running.engine} engine{_ci_run()}",
    }
    return {**release, "hash": release_hash(release)}


def _ci_run() -> str:
    """Where the CI run that promotes can be looked at."""
    server, repository, run_id = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f" ({server}/{repository}/actions/runs/{run_id})" if server and repository and run_id else ""


def _changes(before: Release, release: Mapping[str, Any]) -> list[dict[str, str]]:
    """What would be another than before: path, before and after; signatures and the like go with their digests."""
    old = before.model_dump()
    changes = []
    for part in ("images", "model_images", "revisions"):
        for name in sorted({*old[part], *release[part]}):
            pair = old[part].get(name, ""), release[part].get(name, "")
            if pair[0] != pair[1]:
                changes.append({"path": f"release.{part}.{name}", "before": pair[0], "after": pair[1]})
    if old["source_commit"] != release["source_commit"]:
        changes.append(
            {"path": "release.source_commit", "before": old["source_commit"], "after": release["source_commit"]}
        )
    if not changes and {digest: list(found) for digest, found in old["signatures"].items()} != release["signatures"]:
        changes.append({"path": "release.signatures", "before": "others", "after": "those that the registry has now"})
    return changes


def _judge(target: Target, lock: Mapping[str, Any]) -> None:
    """Plan the target with the new release and ask its policies, before anything is written.

    Raises:
        UserFault: its sizing is stale, or a mandatory policy refuses it, e.g. for want of a signature.
    """
    with step(f"checking stack {target.name} with this release against the policies of {target.settings.environment}"):
        with _locks({target.name: lock}):
            stack = load_stack(target.name)
            program, _ = synth_preview(stack)
        findings = judge(program, environment=stack.plan.environment, preview=True)
        unsigned = [row for row in findings if row.rule == _SIGNATURE_RULE and row.level == "mandatory"]
        faults = mandatory_faults(row for row in findings if row not in unsigned)
        if unsigned:
            faults.append(_unsigned(target, lock["release"], unsigned[0]))
        if faults:
            raise UserFault(faults)


def _unsigned(target: Target, release: Mapping[str, Any], row: Finding) -> Fault:
    """One fault for all images, because one command signs them all."""
    refs = sorted({*release["images"].values(), *release["model_images"].values()})
    signed = release["signatures"]
    bare = [ref for ref in refs if ref.partition("@")[2] not in signed]
    which = f"no signature lies beside {', '.join(bare)}" if bare else "other keys made the signatures found"
    return Fault(
        what=f"policy {row.rule}: {row.message} ({which})",
        where=f"policies/config/{target.settings.environment}.json: {row.rule}",
        fix=row.fix if "public_keys" in row.fix else f"cosign sign --key cosign.key {' '.join(bare or refs)}, then "
        "promote again",
    )


@contextmanager
def _locks(content: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Have the program read these locks instead of the project's."""
    before = os.environ.get("LLMOS_LOCKS")
    with tempfile.TemporaryDirectory(prefix="llmos-promote-") as folder:
        for name, lock in content.items():
            write_lock(Path(folder) / f"{name}.json", lock)
        os.environ["LLMOS_LOCKS"] = folder
        try:
            yield
        finally:
            os.environ.pop("LLMOS_LOCKS")
            if before is not None:
                os.environ["LLMOS_LOCKS"] = before


def _say(
    args: argparse.Namespace, target: Target, release: Mapping[str, Any], changes: list[dict[str, str]],
    candidate: Candidate, *, written: bool,
) -> None:  # fmt: skip
    if args.json:
        document = {
            "schema": 1, "from": args.source, "to": args.target, "written": written, "changes": changes,
            "attested": {ref: list(kinds) for ref, kinds in candidate.attested.items()}, "release": release,
        }  # fmt: skip
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in _lines(args, changes, candidate):
            print(line)
    if not release["source_commit"]:
        warn(f"the commit that {args.source} was deployed from is not known, so a later promotion cannot be ordered")
    if not changes:
        note(f"{target.name} has this release already; nothing was written")
    elif args.dry_run:
        note("nothing was written (--dry-run)")
    else:
        note(f"locks/{target.name}.json written; review and commit it, then: python3 -m llmos up --stack {target.name}")


def _lines(args: argparse.Namespace, changes: list[dict[str, str]], candidate: Candidate) -> Iterator[str]:
    if changes:
        yield f"{args.source} -> {args.target}:"
    for change in changes:
        yield f"  {change['path'].removeprefix('release.')}: {change['before'] or 'none'}"
        yield f"    -> {change['after'] or 'none'}"
        if change["path"] == "release.source_commit" and change["before"]:
            commits = git.commits_between(change["before"], change["after"])
            yield from (f"       {line}" for line in commits[:_SHOWN_COMMITS])
            if len(commits) > _SHOWN_COMMITS:
                yield f"       and {len(commits) - _SHOWN_COMMITS} more commits"
    for ref, kinds in candidate.attested.items():
        yield f"  {ref}: {'attested: ' + ', '.join(kinds) if kinds else 'without provenance and SBOM'}"
