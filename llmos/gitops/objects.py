"""The objects of a stack as a GitOps tool should own them: no secret values, no counts that an autoscaler owns."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmos.kube import KubeObject, identity
from llmos.objects import ignored_paths, kubernetes_objects
from llmos.stacks import Stack
from llmos.synth import Program
from planner.settings import GitOps

__all__ = ["GitOpsObject", "gitops_objects"]

_EXTERNAL_SECRET = "ExternalSecret"
_PULL_KEY = ".dockerconfigjson"
# What holds data, or more than the stack; a workload that goes is made again from its files.
_DURABLE_KINDS = ("Namespace", "PersistentVolumeClaim")


@dataclass(frozen=True, kw_only=True)
class GitOpsObject:
    """An object, and whether it must outlive its files: deleting it would lose data, or more than the stack."""

    item: KubeObject
    durable: bool


def gitops_objects(program: Program, stack: Stack) -> list[GitOpsObject]:
    """Everything to be rendered, in the order of application. Every Secret that the stack makes or refers to is an
    ExternalSecret, which the External Secrets Operator turns into that Secret."""
    objects = kubernetes_objects(program)
    ignored = ignored_paths(program)
    kept = _durable(program)
    shown = [_without(item, ignored.get(identity(item), ())) for item in objects if item["kind"] != "Secret"]
    wanted = _referenced(objects)
    for item in objects:
        if item["kind"] == "Secret":
            wanted.setdefault(item["metadata"]["name"], set()).update(_keys(item))
    secrets = [_external(name, sorted(keys), stack) for name, keys in sorted(wanted.items())]
    at = next((index for index, item in enumerate(shown) if item["kind"] != "Namespace"), len(shown))
    ordered = [*shown[:at], *secrets, *shown[at:]]
    return [GitOpsObject(item=item, durable=identity(item) in kept) for item in ordered]


def _durable(program: Program) -> set[tuple[str, str, str]]:
    """What the program protects from deletion because something would be lost with it."""
    objects = [found for found in program.resources if found.custom and found.type.startswith("kubernetes:")]
    kept = [found.inputs for found in objects if found.options.get("protect")]
    return {identity(inputs) for inputs in kept if inputs["kind"] in _DURABLE_KINDS}


def _without(item: KubeObject, paths: Sequence[str]) -> KubeObject:
    """The object without what the program leaves to others: a tool that states a count would undo an autoscaler's."""
    made = copy.deepcopy(item)
    for path in paths:
        *parents, last = path.split(".")
        holder: Any = made
        for part in parents:
            holder = holder.get(part, {})
        holder.pop(last, None)
    return made


def _referenced(objects: Sequence[KubeObject]) -> dict[str, set[str]]:
    """Keys of Secrets that pods refer to, by name; no key means all of them."""
    found: dict[str, set[str]] = {}
    for item in objects:
        template = item.get("spec", {}).get("template", {})
        spec = template.get("spec", {}) if isinstance(template, Mapping) else {}
        for name, key in _references(spec) if "containers" in spec else ():
            found.setdefault(name, set()).update({key} if key else ())
    return found


def _references(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in spec.get("imagePullSecrets", ()):
        yield entry["name"], _PULL_KEY
    for volume in spec.get("volumes", ()):
        source = volume.get("secret", {})
        if source:
            keys = [entry["key"] for entry in source.get("items", ())]
            yield from ((source["secretName"], key) for key in keys or [""])
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        for entry in container.get("env", ()):
            ref = entry.get("valueFrom", {}).get("secretKeyRef")
            if ref:
                yield ref["name"], ref["key"]
        for entry in container.get("envFrom", ()):
            if "secretRef" in entry:
                yield entry["secretRef"]["name"], ""


def _keys(secret: KubeObject) -> set[str]:
    return {*secret.get("stringData", {}), *secret.get("data", {})}


def _external(name: str, keys: Sequence[str], stack: Stack) -> KubeObject:
    settings: GitOps = stack.settings.gitops
    store = settings.secret_store
    remote = f"{stack.name}/{name}" if store.prefix is None else f"{store.prefix}{name}"
    target: dict[str, Any] = {"name": name, "creationPolicy": "Owner"}
    if _PULL_KEY in keys:
        target["template"] = {"type": "kubernetes.io/dockerconfigjson"}
    data = {"data": [{"secretKey": key, "remoteRef": {"key": remote, "property": key}} for key in keys]}
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": _EXTERNAL_SECRET,
        "metadata": {
            "name": name, "namespace": stack.plan.namespace.name,
            "labels": {
                "app.kubernetes.io/name": name, "app.kubernetes.io/instance": stack.name,
                "app.kubernetes.io/component": "secret", "app.kubernetes.io/part-of": "llmagentos",
                "app.kubernetes.io/managed-by": "llmagentos",
            },
        },
        "spec": {
            "refreshInterval": "1h", "secretStoreRef": {"kind": store.kind, "name": store.name}, "target": target,
            **(data if keys else {"dataFrom": [{"extract": {"key": remote}}]}),
        },
    }  # fmt: skip
