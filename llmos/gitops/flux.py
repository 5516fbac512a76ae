"""For Flux: layers in folders of their own, and a Kustomization for each that waits for the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmos.gitops.objects import GitOpsObject
from llmos.kube import KubeObject
from llmos.rendering import render
from llmos.stacks import Stack

__all__ = ["FOLDERS", "render_flux"]

_LAYERS = (
    ("fences", {
        "Namespace", "ExternalSecret", "LimitRange", "NetworkPolicy", "ServiceAccount", "ConfigMap",
        "PersistentVolumeClaim", "ResourceQuota",
    }),
    ("nodes", {"KWOKNodeClass", "EC2NodeClass", "NodePool"}),
)  # fmt: skip
_WORKLOADS = "workloads"
FOLDERS = (*(name for name, _ in _LAYERS), _WORKLOADS)
"""Every folder that a rendering may make."""
_PRUNE = "kustomize.toolkit.fluxcd.io/prune"


def render_flux(objects: Sequence[GitOpsObject], stack: Stack) -> Mapping[str, Mapping[str, str]]:
    """A folder per layer, and beside them Flux's own objects, in the order of the layers."""
    layers: dict[str, list[KubeObject]] = {}
    for each in objects:
        layers.setdefault(_layer(each.item["kind"]), []).append(_marked(each))
    order = [name for name in FOLDERS if name in layers]
    seconds = max([600, *(model.load_timeout_seconds for model in stack.plan.models)]) + 120
    chain = [
        _kustomization(name, stack, after=order[:index][-1:], seconds=seconds) for index, name in enumerate(order)
    ]
    return {"": render(chain), **{name: render(layers[name]) for name in order}}


def _layer(kind: str) -> str:
    return next((name for name, kinds in _LAYERS if kind in kinds), _WORKLOADS)


def _marked(each: GitOpsObject) -> KubeObject:
    if not each.durable:
        return each.item
    metadata = each.item["metadata"]
    kept = {**metadata.get("annotations", {}), _PRUNE: "disabled"}
    return {**each.item, "metadata": {**metadata, "annotations": kept}}


def _kustomization(layer: str, stack: Stack, *, after: Sequence[str], seconds: int) -> dict[str, Any]:
    gitops = stack.settings.gitops
    folder = gitops.path or f"deploy/{stack.name}"
    waits = {"dependsOn": [{"name": _name(stack, name)} for name in after]} if after else {}
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": _name(stack, layer), "namespace": "flux-system"},
        "spec": {
            "interval": "10m", "path": f"./{folder}/{layer}", "prune": True, "wait": True, "timeout": f"{seconds}s",
            "sourceRef": {"kind": "GitRepository", "name": gitops.flux_source}, **waits,
        },
    }  # fmt: skip


def _name(stack: Stack, layer: str) -> str:
    return f"llmagentos-{stack.name}-{layer}"
