"""The Kubernetes objects of a synthesised program, in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Sequence

from llmos.engines.base import ENGINE_LABEL
from llmos.kube import KubeObject, identity
from llmos.synth import Program, Resource

__all__ = ["apply_rank", "ignored_paths", "kubernetes_objects", "type_of"]

# Fences before what they fence: a pod must never run before its quota, account and network policy are there.
_ORDER = (
    "Namespace", "LimitRange", "NetworkPolicy", "ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim",
    "KWOKNodeClass", "EC2NodeClass", "NodePool", "PodDisruptionBudget", "ResourceQuota", "Deployment", "Service",
)


def kubernetes_objects(program: Program, *, engine: str = "") -> list[KubeObject]:
    """The objects as they are sent to the API server, sorted by kind (fences first) and name.

    Args:
        program: what ``synth`` returned.
        engine: value of the namespace's engine label; without one the namespace belongs to no engine.
    """
    objects = [_object(resource, engine) for resource in program.resources if _is_object(resource)]
    return sorted(objects, key=_sort_key)


def apply_rank(kind: str) -> int:
    """Place of a kind in the order of application: fences before what they fence, kinds without a place last."""
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def type_of(program: Program) -> dict[tuple[str, str, str], str]:
    """Pulumi type tokens of the objects, by (kind, namespace, name)."""
    return {
        identity(resource.inputs): resource.type for resource in program.resources if _is_object(resource)
    }


def ignored_paths(program: Program) -> dict[tuple[str, str, str], Sequence[str]]:
    """Properties of objects that the program leaves to others (``ignore_changes``), by (kind, namespace, name)."""
    return {
        identity(resource.inputs): ignored
        for resource in program.resources
        if _is_object(resource) and (ignored := resource.options.get("ignoreChanges"))
    }


def _is_object(resource: Resource) -> bool:
    # A Helm release is none: its objects are made inside the provider.
    return resource.custom and resource.type.startswith("kubernetes:") and ":helm.sh/" not in resource.type


def _object(resource: Resource, engine: str) -> KubeObject:
    item = resource.inputs
    # Annotations of the Pulumi provider steer its waiting and mean nothing to a cluster.
    annotations = {k: v for k, v in item["metadata"].pop("annotations", {}).items() if not k.startswith("pulumi.com/")}
    if annotations:
        item["metadata"]["annotations"] = annotations
    if item["kind"] == "Namespace":
        labels = {key: value for key, value in item["metadata"]["labels"].items() if key != ENGINE_LABEL}
        item["metadata"]["labels"] = {**labels, ENGINE_LABEL: engine} if engine else labels
    return item


def _sort_key(item: KubeObject) -> tuple[int, str, str]:
    return apply_rank(item["kind"]), item["kind"], item["metadata"]["name"]
