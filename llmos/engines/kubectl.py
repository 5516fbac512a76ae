"""What the kubectl engine would do: synthesised objects, compared with what the server has.

Actions are read off the server's own dry run; nothing but that classification is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llmos.engines.adoption import may_adopt
from llmos.engines.applyset import ApplySet, State
from llmos.engines.asking import raise_refused
from llmos.engines.base import ENGINE_LABEL, EngineAction, EngineRun
from llmos.engines.planned import answers_of, is_foreign, replaced_in, row_of, rows, type_token
from llmos.engines.shapes import comparable, going, keep_ignored, masked
from llmos.kube import Kube, KubeObject, identity
from llmos.objects import ignored_paths, kubernetes_objects, type_of
from llmos.synth import Program
from planner.faults import Fault, UserFault

__all__ = ["NAME", "differences", "kube_of", "namespace_of", "owner_fault", "preview", "wanted_objects"]

NAME = "kubectl"


def kube_of(run: EngineRun) -> Kube:
    """The cluster of a run."""
    return Kube(kubectl=run.kubectl or "kubectl", kubeconfig=run.kubeconfig, context=run.context)


def preview(run: EngineRun, program: Program, *, state: State | None = None) -> tuple[EngineAction, ...]:
    """What ``up`` would do, object by object, asked of the server by dry run.

    Objects whose image is not built yet are validated with a stand-in digest and count as updates.

    Args:
        run: stack and cluster.
        program: what is wanted.
        state: what the stack's ApplySet has, where the caller has just asked.

    Raises:
        UserFault: the namespace belongs to the other engine, or a field to somebody else.
        EnvironmentFault: the server cannot be reached or refuses an object.
    """
    objects = kubernetes_objects(program, engine=NAME)
    _refuse_heirs(objects)
    kube = kube_of(run)
    namespace = namespace_of(kube, run)
    live = kube.live(objects)
    wanted = wanted_objects(objects, live, program)
    applyset = ApplySet(kube=kube, stack=run.stack, namespace=run.namespace)
    foreign = {key for key, item in live.items() if is_foreign(item, applyset_id=applyset.id)}
    # What is refused as a whole needs no opinion of the server's about its fields.
    asked = [item for item in wanted if identity(item) not in foreign or may_adopt(item, allowed=run.adopt)]
    answers = answers_of(run, kube, asked, program, namespace_exists=namespace is not None)
    replaced = replaced_in(answers, live, asked)
    raise_refused({key: said for key, said in answers.refused.items() if key not in replaced})
    types = type_of(program)
    found = [
        row for item in wanted for key in [identity(item)]
        for row in rows(item, live.get(key), answers, replaced, types.get(key, ""), foreign=key in foreign)
    ]  # fmt: skip
    state = state or applyset.state()
    there = set(map(identity, wanted))
    gone = [member for member in state.members if identity(member) not in there and not going(member)]
    found += [row_of(member, "delete", type_token(member)) for member in gone]
    return tuple(sorted(found, key=lambda action: (action.kind, action.namespace, action.name, action.action)))


def differences(
    run: EngineRun, program: Program
) -> dict[tuple[str, str, str], tuple[KubeObject | None, KubeObject | None]]:
    """(live, wanted) of every object that differs, as the server would store it; values of Secrets are masked."""
    kube, objects = kube_of(run), kubernetes_objects(program, engine=NAME)
    live = kube.live(objects)
    wanted = wanted_objects(objects, live, program)
    exists = namespace_of(kube, run) is not None
    answers = answers_of(run, kube, wanted, program, namespace_exists=exists)
    replaced = replaced_in(answers, live, wanted)
    raise_refused({key: said for key, said in answers.refused.items() if key not in replaced})
    stored = {**{identity(item): item for item in wanted if identity(item) in replaced}, **answers.stored}
    members = ApplySet(kube=kube, stack=run.stack, namespace=run.namespace).members() if exists else []
    before = {**live, **{identity(member): member for member in members}}
    found = {}
    for key in sorted({*before, *map(identity, wanted)}):
        sides = tuple(masked(comparable(side[key])) if key in side else None for side in (before, stored))
        if sides[0] != sides[1]:
            found[key] = sides
    return found


def owner_fault(namespace: KubeObject, run: EngineRun) -> Fault | None:
    """A fault when the namespace belongs to another engine: two engines would undo each other's work."""
    owner = namespace["metadata"].get("labels", {}).get(ENGINE_LABEL, NAME)
    if owner == NAME:
        return None
    return Fault(
        what=f"the namespace is managed by the {owner} engine", where=f"namespace {run.namespace}",
        fix=f"go on with --engine {owner}, or destroy the stack with it first",
    )


def wanted_objects(
    objects: Iterable[KubeObject], live: Mapping[tuple[str, str, str], KubeObject], program: Program
) -> list[KubeObject]:
    """The objects as they are to be applied: what the program leaves to others has its live value."""
    ignored = ignored_paths(program)
    return [keep_ignored(item, live, ignored.get(identity(item), ())) for item in objects]


def _refuse_heirs(objects: Iterable[KubeObject]) -> None:
    """KServe hands the labels of an InferenceService down to the Deployment that it makes of it, that of the ApplySet
    included, and the next ``up`` would prune a Deployment that it has not applied."""
    for item in objects:
        if item["kind"] == "InferenceService":
            raise UserFault(
                Fault(
                    what="what KServe makes of an InferenceService looks to kubectl like an object of the stack, and "
                    "would be pruned by the next `up`",
                    where=f"InferenceService/{item['metadata']['name']}",
                    nearest="serving: deployment works with both engines",
                    fix="use the pulumi engine (--engine pulumi), which needs the Pulumi CLI",
                )
            )


def namespace_of(kube: Kube, run: EngineRun) -> KubeObject | None:
    """The stack's namespace, or None.

    Raises:
        UserFault: it belongs to the other engine.
    """
    found = kube.get("namespace", run.namespace)
    fault = owner_fault(found[0], run) if found else None
    if fault:
        raise UserFault(fault)
    return found[0] if found else None
