"""What the kubectl engine would do: synthesised objects, compared with what the server has.

Actions are read off the server's own dry run; nothing but that classification is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from llmos.engines.applyset import ApplySet
from llmos.engines.base import ENGINE_LABEL, Action, EngineAction, EngineRun
from llmos.engines.shapes import comparable, going, has_unknown, in_namespace, keep_ignored, masked, stand_in
from llmos.kube import Kube, KubeObject, identity
from llmos.objects import ignored_paths, kubernetes_objects, type_of
from llmos.synth import Program
from planner.faults import Fault, UserFault

__all__ = ["NAME", "differences", "kube_of", "namespace_of", "owner_fault", "preview", "wanted_objects"]

NAME = "kubectl"


def kube_of(run: EngineRun) -> Kube:
    """The cluster of a run."""
    return Kube(kubectl=run.kubectl or "kubectl", kubeconfig=run.kubeconfig, context=run.context)


def preview(run: EngineRun, program: Program) -> tuple[EngineAction, ...]:
    """What ``up`` would do, object by object, asked of the server by dry run.

    Objects whose image is not built yet are validated with a stand-in digest and count as updates.

    Raises:
        UserFault: the namespace belongs to the other engine, or a field to somebody else.
        EnvironmentFault: the server cannot be reached or refuses an object.
    """
    kube = kube_of(run)
    namespace = namespace_of(kube, run)
    objects = kubernetes_objects(program, engine=NAME)
    live = kube.live(objects)
    wanted = wanted_objects(objects, live, program)
    actions = _classify(run, kube, wanted, live, namespace_exists=namespace is not None)
    types = type_of(program)
    found = [_action(item_id, action, types.get(item_id, "")) for item_id, action in actions.items()]
    members = ApplySet(kube=kube, stack=run.stack, namespace=run.namespace).members()
    gone = {identity(member): member for member in members if identity(member) not in actions and not going(member)}
    found += [_action(key, "delete", _type_token(member)) for key, member in gone.items()]
    return tuple(sorted(found, key=lambda action: (action.kind, action.namespace, action.name)))


def differences(
    run: EngineRun, program: Program
) -> dict[tuple[str, str, str], tuple[KubeObject | None, KubeObject | None]]:
    """(live, wanted) of every object that differs, as the server would store it; values of Secrets are masked."""
    kube, objects = kube_of(run), kubernetes_objects(program, engine=NAME)
    live = kube.live(objects)
    wanted = wanted_objects(objects, live, program)
    exists = namespace_of(kube, run) is not None
    stored = _dry_run(run, kube, wanted, namespace_exists=exists)
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


def _classify(
    run: EngineRun,
    kube: Kube,
    wanted: Sequence[KubeObject],
    live: Mapping[tuple[str, str, str], KubeObject],
    *,
    namespace_exists: bool,
) -> dict[tuple[str, str, str], Action]:
    """create, update or same for each wanted object."""
    unknown = {identity(item) for item in wanted if has_unknown(item)}
    stored = _dry_run(run, kube, wanted, namespace_exists=namespace_exists)
    actions: dict[tuple[str, str, str], Action] = {}
    for item in wanted:
        key = identity(item)
        if key not in live or going(live[key]):
            actions[key] = "create"
        elif key in unknown or comparable(stored[key]) != comparable(live[key]):
            actions[key] = "update"
        else:
            actions[key] = "same"
    return actions


def _dry_run(
    run: EngineRun, kube: Kube, wanted: Sequence[KubeObject], *, namespace_exists: bool
) -> dict[tuple[str, str, str], KubeObject]:
    """The objects as the server would store them. Where the namespace is missing they are validated in ``default``,
    because a dry run creates nothing that later objects of it could be put into."""
    asked = [stand_in(item) for item in wanted]
    applyset = ApplySet(kube=kube, stack=run.stack, namespace=run.namespace)
    if namespace_exists:
        return {identity(item): item for item in applyset.dry_run(asked)}
    spaces = {identity(item): item for item in asked if item["kind"] == "Namespace"}
    moved = applyset.dry_run([in_namespace(item, "default") for item in asked if item["kind"] != "Namespace"])
    stored = [in_namespace(item, run.namespace) for item in moved]
    return {**spaces, **{identity(item): item for item in stored}}


def _action(key: tuple[str, str, str], action: Action, type_token: str) -> EngineAction:
    kind, namespace, name = key
    return EngineAction(type=type_token, kind=kind, namespace=namespace, name=name, action=action)


def _type_token(item: KubeObject) -> str:
    version = item["apiVersion"]
    return f"kubernetes:{version if '/' in version else 'core/' + version}:{item['kind']}"
