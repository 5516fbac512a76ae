"""Replica counts that pass from an autoscaler to the stack file.

An autoscaler writes a count through the `scale` subresource and owns it from then on, also once it is gone. A stack
that goes from a range to a fixed number would meet that as a conflict. So the stack's own autoscaler goes first, and
its claim with it; the count itself stays as it is until the fixed one is applied.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from llmos.engines.asking import Key
from llmos.engines.conflicts import conflicts
from llmos.kube import Kube, KubeObject, identity

__all__ = ["Claim", "claims", "is_only_a_count", "release"]

_INSTANCE = "app.kubernetes.io/instance"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An autoscaler's claim on the count of a Deployment that is stated as a fixed number.

    Attributes:
        namespace: where the Deployment is.
        name: its name.
        entry: position of the claim among the Deployment's managed fields.
        manager: who holds it.
        autoscalers: (kind, name) of the stack's own autoscalers on it that are still there.
    """

    namespace: str
    name: str
    entry: int
    manager: str
    autoscalers: tuple[tuple[str, str], ...]

    @property
    def key(self) -> Key:
        return "Deployment", self.namespace, self.name


def claims(kube: Kube, *, namespace: str, stack: str, fixed: Collection[Key]) -> tuple[Claim, ...]:
    """Claims that end with this change. One that belongs to an autoscaler of somebody else is none of them: it stays a
    conflict, and is reported as one.

    Args:
        kube: the cluster.
        namespace: the stack's.
        stack: its name, by which its own autoscalers are known.
        fixed: Deployments whose count the program states and does not leave to others.
    """
    if not fixed:
        return ()
    deployments = kube.get("deployments", "-n", namespace, "--show-managed-fields")
    found = [item for item in deployments if identity(item) in fixed and _entry(item) is not None]
    autoscalers = kube.get("horizontalpodautoscalers", "-n", namespace) if found else []
    return tuple(_claims(found, autoscalers, stack))


def is_only_a_count(said: str, *, own: str = "") -> bool:
    """Whether a refusal is a conflict over a replica count with an autoscaler, and about nothing else; ``own`` as for
    ``conflicts``."""
    found = conflicts(said, own=own)
    return bool(found) and all(
        one.manager_is_autoscaler and one.fields == (".spec.replicas",) for one in found
    )


def release(kube: Kube, found: Iterable[Claim]) -> None:
    """Remove the stack's autoscalers and their claims; the counts stay as they are."""
    for claim in found:
        for kind, name in claim.autoscalers:
            kube.run("delete", kind.lower(), name, "-n", claim.namespace, "--ignore-not-found")
        path = f"/metadata/managedFields/{claim.entry}"
        patch = [
            {"op": "test", "path": f"{path}/manager", "value": claim.manager},
            {"op": "test", "path": f"{path}/subresource", "value": "scale"},
            {"op": "remove", "path": path},
        ]
        kube.run("patch", "deployment", claim.name, "-n", claim.namespace, "--type=json", "-p", json.dumps(patch))


def _claims(deployments: Iterable[KubeObject], autoscalers: Iterable[KubeObject], stack: str) -> Iterator[Claim]:
    for deployment in deployments:
        on_it = [item for item in autoscalers if _target(item) == ("Deployment", deployment["metadata"]["name"])]
        entry = _entry(deployment)
        if entry is None or not all(_own(item, stack) for item in on_it):
            continue
        _, namespace, name = identity(deployment)
        yield Claim(
            namespace=namespace, name=name, entry=entry,
            manager=deployment["metadata"]["managedFields"][entry]["manager"],
            autoscalers=tuple(map(_origin, on_it)),
        )  # fmt: skip


def _entry(deployment: KubeObject) -> int | None:
    """Only the autoscaler of Kubernetes, which KEDA drives as well: a count that a person set by `kubectl scale` is
    that person's until they are asked."""
    for number, entry in enumerate(deployment["metadata"].get("managedFields", ())):
        owns = "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        if owns and entry.get("subresource") == "scale" and entry["manager"] == "kube-controller-manager":
            return number
    return None


def _target(autoscaler: KubeObject) -> tuple[str, str]:
    reference = autoscaler["spec"]["scaleTargetRef"]
    return reference["kind"], reference["name"]


def _origin(autoscaler: KubeObject) -> tuple[str, str]:
    """What has to go for it to go: KEDA makes the HorizontalPodAutoscaler of a ScaledObject again."""
    for owner in autoscaler["metadata"].get("ownerReferences", ()):
        return owner["kind"], owner["name"]
    return "HorizontalPodAutoscaler", autoscaler["metadata"]["name"]


def _own(autoscaler: KubeObject, stack: str) -> bool:
    return autoscaler["metadata"].get("labels", {}).get(_INSTANCE) == stack
