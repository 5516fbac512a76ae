"""What of a stack that the pulumi engine deployed differs from what the cluster has.

`pulumi preview --diff` compares the program with the state. This asks the server instead, so that what somebody changed
in the cluster shows as well. Nothing is written, and the Pulumi CLI is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from llmos.engines.applyset import raise_refusal
from llmos.engines.base import EngineRun
from llmos.engines.kubectl import kube_of
from llmos.engines.pulumi_cluster import refuse_foreign_namespace
from llmos.engines.shapes import comparable, keep_ignored, masked, stand_in
from llmos.kube import Kube, KubeObject, as_list, identity
from llmos.objects import ignored_paths, kubernetes_objects
from llmos.synth import Program

__all__ = ["MANAGER_PREFIX", "differences", "live_and_managers"]

_Key = tuple[str, str, str]
MANAGER_PREFIX = "pulumi-kubernetes"
_OWN_ANNOTATIONS = "pulumi.com/"
# Kinds of which a stack may have had the only object until now; one that the cluster does not know has none.
_KINDS = (
    "ConfigMap", "HorizontalPodAutoscaler", "Job", "KWOKNodeClass", "NodePool", "PersistentVolumeClaim",
    "PodDisruptionBudget", "ScaledObject", "Secret",
)


def differences(run: EngineRun, program: Program) -> dict[_Key, tuple[KubeObject | None, KubeObject | None]]:
    """(live, wanted) of every object that differs, as the server would store it; values of Secrets are masked.

    An object that exists is asked about under the field manager that the provider gave it; under any other, a field
    that the program dropped would seem to stay.

    Raises:
        UserFault: the namespace belongs to another engine.
        EnvironmentFault: the server cannot be reached or refuses an object.
    """
    refuse_foreign_namespace(run)
    kube, objects = kube_of(run), kubernetes_objects(program, engine="pulumi")
    live, managers = live_and_managers(kube, objects)
    ignored = ignored_paths(program)
    wanted = [stand_in(keep_ignored(item, live, ignored.get(identity(item), ()))) for item in objects]
    stored = {identity(item): item for item in wanted if identity(item) not in live}
    for manager in sorted(set(managers.values())):
        asked = [item for item in wanted if managers.get(identity(item)) == manager]
        stored |= _dry_run(kube, asked, manager=manager)
    live |= _members(kube, run, {*_KINDS, *(item["kind"] for item in objects)})
    found = {}
    for key in sorted({*live, *stored}):
        sides = tuple(_shape(side[key]) if key in side else None for side in (live, stored))
        if sides[0] != sides[1]:
            found[key] = sides
    return found


def live_and_managers(kube: Kube, objects: Sequence[KubeObject]) -> tuple[dict[_Key, KubeObject], dict[_Key, str]]:
    """The objects that exist, and the field manager under which each was deployed."""
    present = kube.live(objects)
    if not present:
        return {}, {}
    words = ["get", "-f", "-", "-o", "json", "--ignore-not-found", "--show-managed-fields"]
    done = kube.run(*words, stdin=as_list([_bare(item) for item in present.values()]))
    found = json.loads(done.stdout)
    items = found["items"] if found.get("kind") == "List" else [found]
    return {identity(item): item for item in items}, {identity(item): _manager(item) for item in items}


def _bare(item: KubeObject) -> KubeObject:
    names = {key: item["metadata"][key] for key in ("name", "namespace") if key in item["metadata"]}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": names}


def _manager(item: KubeObject) -> str:
    entries = item["metadata"].get("managedFields", [])
    names = [entry["manager"] for entry in entries if entry["manager"].startswith(MANAGER_PREFIX)]
    return names[0] if names else MANAGER_PREFIX


def _dry_run(kube: Kube, objects: Sequence[KubeObject], *, manager: str) -> dict[_Key, KubeObject]:
    words = ["apply", "--server-side", "--dry-run=server", "--force-conflicts", f"--field-manager={manager}"]
    done = kube.run(*words, "-o", "json", "-f", "-", stdin=as_list(objects), check=False, timeout_seconds=120)
    if done.returncode != 0:
        raise_refusal(done.stderr)
    found = json.loads(done.stdout)
    return {identity(item): item for item in (found["items"] if found.get("kind") == "List" else [found])}


def _members(kube: Kube, run: EngineRun, kinds: Iterable[str]) -> Mapping[_Key, KubeObject]:
    """Everything of the stack that exists: what the program no longer has is among it."""
    found: dict[_Key, KubeObject] = {}
    for kind in sorted(kinds):
        selector = f"app.kubernetes.io/instance={run.stack}"
        for item in kube.get(kind, "-n", run.namespace, "-l", selector):
            if not item["metadata"].get("ownerReferences"):
                found[identity(item)] = item
    return found


def _shape(item: KubeObject) -> KubeObject:
    shaped = masked(comparable(item))
    annotations = shaped["metadata"].get("annotations", {})
    kept = {key: value for key, value in annotations.items() if not key.startswith(_OWN_ANNOTATIONS)}
    metadata = {key: value for key, value in shaped["metadata"].items() if key != "annotations"}
    return {**shaped, "metadata": {**metadata, **({"annotations": kept} if kept else {})}}
