"""For Argo CD: a sync wave on every object, and the Application that follows the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmos.gitops.objects import GitOpsObject
from llmos.kube import KubeObject
from llmos.objects import apply_rank
from llmos.rendering import render, text_of
from llmos.stacks import Stack

__all__ = ["render_argocd"]

_WAVE = "argocd.argoproj.io/sync-wave"
_OPTIONS = "argocd.argoproj.io/sync-options"
_APPLICATION = "argocd-application.yaml"


def render_argocd(objects: Sequence[GitOpsObject], stack: Stack) -> Mapping[str, Mapping[str, str]]:
    """The objects with their waves; the Application stands beside them and is applied once, by hand or by another one.

    A wave is an object's place in the order of application, so that fences stand before pods start and Argo CD waits
    for each wave to be healthy.
    """
    files = render([_waved(each) for each in objects])
    repository = stack.settings.gitops.repository
    if repository:
        files = {**files, _APPLICATION: text_of(_application(stack, repository))}
    return {"": files}


def _waved(each: GitOpsObject) -> KubeObject:
    metadata, kind = each.item["metadata"], each.item["kind"]
    # A Secret has to be there before the pods, whoever makes it.
    marks = {_WAVE: str(apply_rank("Secret" if kind == "ExternalSecret" else kind))}
    if each.durable:
        marks[_OPTIONS] = "Prune=false,Delete=false"
    return {**each.item, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **marks}}}


def _application(stack: Stack, repository: str) -> dict[str, Any]:
    gitops = stack.settings.gitops
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": f"llmagentos-{stack.name}", "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {
                "repoURL": repository, "targetRevision": gitops.revision, "path": gitops.path or f"deploy/{stack.name}",
            },
            "destination": {"server": "https://kubernetes.default.svc", "namespace": stack.plan.namespace.name},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                # The server decides who owns which field, so what an autoscaler sets is no difference.
                "syncOptions": ["ServerSideApply=true"],
            },
        },
    }  # fmt: skip
