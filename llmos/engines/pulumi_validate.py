"""What the pulumi engine leaves unasked at preview: the API server's opinion of what would be sent.

With a digest that is not known yet the provider asks nothing at all, and a conflict over a field shows only at `up`,
with half of the stack changed. So the synthesised objects are asked about, under the field managers of the provider.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Mapping, Sequence

from llmos.engines.adoption import may_adopt
from llmos.engines.asking import Answers, Key, ask, immutable_fields, raise_refused
from llmos.engines.base import EngineAction, EngineRun
from llmos.engines.conflicts import conflicts
from llmos.engines.counts import Claim, is_only_a_count
from llmos.engines.kubectl import kube_of
from llmos.engines.planned import claims_of
from llmos.engines.pulumi_diff import MANAGER_PREFIX, live_and_managers
from llmos.engines.shapes import has_unknown, in_namespace, keep_ignored, stand_in
from llmos.kube import Kube, KubeObject, identity
from llmos.objects import ignored_paths, kubernetes_objects
from llmos.synth import Program

__all__ = ["claims_on_counts", "validated"]


def validated(run: EngineRun, program: Program, actions: Sequence[EngineAction]) -> tuple[EngineAction, ...]:
    """The actions, each with whether its object exists already, and whether a stand-in digest was used to ask about it.

    Only what would be created or updated is asked about: an object that the engine leaves alone may differ from the
    program as somebody wishes. Without kubectl nothing can be asked, and the actions come back as they are.

    Raises:
        UserFault: fields of objects that would be updated belong to other field managers.
        EnvironmentFault: the server refuses an object.
    """
    if shutil.which(str(run.kubectl or "kubectl")) is None:
        return tuple(actions)
    kube, touched = kube_of(run), {_key(row) for row in actions if row.action in ("create", "update")}
    replaced = {_key(row) for row in actions if row.replaces}
    objects = [item for item in kubernetes_objects(program, engine="pulumi") if identity(item) in touched - replaced]
    live, managers = live_and_managers(kube, objects)
    taken = {_key(row) for row in actions if row.action == "create" and _key(row) in live}
    # What is refused as a whole needs no opinion of the server's about its fields.
    objects = [item for item in objects if identity(item) not in taken or may_adopt(item, allowed=run.adopt)]
    wanted = _wanted(objects, live, program)
    answers = _ask(run, kube, wanted, managers)
    counts = {key for key, said in answers.refused.items() if is_only_a_count(said, own=MANAGER_PREFIX)}
    passing = {claim.key for claim in claims_on_counts(run, program)} if counts else set()
    raise_refused({
        key: said for key, said in answers.refused.items()
        if key not in counts & passing and not _is_between_ours(said)
        and not (key in live and immutable_fields(said, live=live[key], wanted=wanted[key]))
    }, own=MANAGER_PREFIX)  # fmt: skip
    guessed = {identity(item) for item in objects if has_unknown(item)}
    return tuple(
        dataclasses.replace(row, stand_in_digest=_key(row) in guessed, adopts=_key(row) in taken) for row in actions
    )


def claims_on_counts(run: EngineRun, program: Program) -> tuple[Claim, ...]:
    """Counts that pass from the stack's own autoscalers to the program; none where there is no kubectl to ask."""
    if shutil.which(str(run.kubectl or "kubectl")) is None:
        return ()
    return claims_of(run, kube_of(run), kubernetes_objects(program, engine="pulumi"), program)


def _is_between_ours(said: str) -> bool:
    """Whether a refusal is a conflict with the provider's own creation of the object, which it settles by itself: it
    creates some objects under the bare name, and applies under a longer one."""
    return bool(conflicts(said)) and not conflicts(said, own=MANAGER_PREFIX)


def _key(row: EngineAction) -> Key:
    return row.kind, row.namespace, row.name


def _wanted(
    objects: Iterable[KubeObject], live: Mapping[Key, KubeObject], program: Program
) -> dict[Key, KubeObject]:
    ignored = ignored_paths(program)
    keyed = ((identity(item), item) for item in objects)
    return {key: stand_in(keep_ignored(item, live, ignored.get(key, ()))) for key, item in keyed}


def _ask(
    run: EngineRun, kube: Kube, wanted: Mapping[Key, KubeObject], managers: Mapping[Key, str]
) -> Answers:
    """Each object under the manager that would send it; in ``default`` where the namespace is new as well."""
    new = [item for key, item in wanted.items() if key not in managers]
    if ("Namespace", "", run.namespace) in wanted and ("Namespace", "", run.namespace) not in managers:
        new = [in_namespace(item, "default") for item in new if item["kind"] != "Namespace"]
    asked = [ask(kube, new, manager=MANAGER_PREFIX, force=True)]
    for manager in sorted(set(managers.values())):
        of_it = [item for key, item in wanted.items() if managers.get(key) == manager]
        asked.append(ask(kube, of_it, manager=manager, force=run.force_conflicts))
    stored = {key: item for answers in asked for key, item in answers.stored.items()}
    return Answers(stored=stored, refused={key: said for answers in asked for key, said in answers.refused.items()})
