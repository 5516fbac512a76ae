"""What the kubectl engine would do to each object, read off the API server's answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmos.engines.applyset import FIELD_MANAGER, MEMBER_LABEL
from llmos.engines.asking import Answers, Key, ask, immutable_fields
from llmos.engines.base import ENGINE_LABEL, Action, EngineAction, EngineRun
from llmos.engines.counts import Claim, claims, is_only_a_count
from llmos.engines.shapes import comparable, going, has_unknown, in_namespace, stand_in
from llmos.kube import Kube, KubeObject, identity
from llmos.objects import ignored_paths
from llmos.synth import Program

__all__ = ["answers_of", "claims_of", "delete_replaced", "is_foreign", "replaced_in", "row_of", "rows", "type_token"]


def answers_of(
    run: EngineRun, kube: Kube, wanted: Sequence[KubeObject], program: Program, *, namespace_exists: bool
) -> Answers:
    """The objects as the server would store them. Where the namespace is missing they are validated in ``default``,
    because a dry run creates nothing that later objects of it could be put into."""
    asked = [stand_in(item) for item in wanted]
    if namespace_exists:
        answers = ask(kube, asked, manager=FIELD_MANAGER, force=run.force_conflicts)
        if not answers.refused:
            return answers
        counts = {key for key, said in answers.refused.items() if is_only_a_count(said)}
        passing = {claim.key for claim in claims_of(run, kube, wanted, program)} & counts if counts else set()
        forced = ask(kube, [item for item in asked if identity(item) in passing], manager=FIELD_MANAGER, force=True)
        refused = {key: said for key, said in answers.refused.items() if key not in passing}
        return Answers(stored={**answers.stored, **forced.stored}, refused={**refused, **forced.refused})
    spaces = [item for item in asked if item["kind"] == "Namespace"]
    moved = [in_namespace(item, "default") for item in asked if item["kind"] != "Namespace"]
    answers = ask(kube, moved, manager=FIELD_MANAGER)
    stored = [in_namespace(item, run.namespace) for item in answers.stored.values()]
    return Answers(stored={identity(item): item for item in (*spaces, *stored)}, refused=answers.refused)


def claims_of(run: EngineRun, kube: Kube, objects: Iterable[KubeObject], program: Program) -> tuple[Claim, ...]:
    """Counts that pass from the stack's own autoscalers to the program, which states them as fixed now."""
    ignored = ignored_paths(program)
    fixed = {identity(item) for item in objects if item["kind"] == "Deployment" and not ignored.get(identity(item))}
    return claims(kube, namespace=run.namespace, stack=run.stack, fixed=fixed)


def replaced_in(
    answers: Answers, live: Mapping[Key, KubeObject], wanted: Iterable[KubeObject]
) -> dict[Key, tuple[str, ...]]:
    """Objects that the server refuses to change in place, and the fields that it refuses."""
    found = {
        identity(item): immutable_fields(answers.refused[identity(item)], live=live[identity(item)], wanted=item)
        for item in wanted if identity(item) in answers.refused and identity(item) in live
    }  # fmt: skip
    return {key: fields for key, fields in found.items() if fields}


def is_foreign(live: KubeObject, *, applyset_id: str) -> bool:
    """Whether an object was made by somebody else: it is no member of the stack's set, nor its namespace."""
    labels = live["metadata"].get("labels", {})
    mark = labels.get(ENGINE_LABEL) if live["kind"] == "Namespace" else labels.get(MEMBER_LABEL) == applyset_id
    return not mark


def rows(
    item: KubeObject, live: KubeObject | None, answers: Answers, replaced: Mapping[Key, tuple[str, ...]], token: str,
    *, foreign: bool,
) -> list[EngineAction]:
    """What happens to a wanted object: one action, or two for one that is replaced."""
    key, unknown = identity(item), has_unknown(item)
    if key in replaced:
        row = row_of(item, "delete", token, replaces=replaced[key])
        return [row, dataclasses.replace(row, action="create")]
    if live is None or going(live):
        return [row_of(item, "create", token, stand_in_digest=unknown)]
    changed = foreign or unknown or comparable(answers.stored[key]) != comparable(live)
    return [row_of(item, "update" if changed else "same", token, adopts=foreign, stand_in_digest=unknown)]


def delete_replaced(kube: Kube, row: EngineAction) -> None:
    """Delete an object that is about to be created anew, and wait until it and what it owns is gone."""
    where = ["-n", row.namespace] if row.namespace else []
    kube.run(
        "delete", row.kind.lower(), row.name, *where, "--ignore-not-found", "--wait=true", "--cascade=foreground",
        "--timeout=900s", timeout_seconds=920,
    )  # fmt: skip


def row_of(item: KubeObject, action: Action, token: str, **more: Any) -> EngineAction:
    """The row of an object."""
    kind, namespace, name = identity(item)
    return EngineAction(type=token, kind=kind, namespace=namespace, name=name, action=action, **more)


def type_token(item: KubeObject) -> str:
    """Pulumi's type of an object that only the cluster has."""
    version = item["apiVersion"]
    return f"kubernetes:{version if '/' in version else 'core/' + version}:{item['kind']}"
