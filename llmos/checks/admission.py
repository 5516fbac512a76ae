"""The last word on a pod template is the API server's own admission: templates are submitted as dry-run Pods.

A Deployment that breaks the namespace's Pod Security level is accepted with a warning, and its pods are refused later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmos.checks.findings import Finding
from llmos.kube import Kube, as_list
from llmos.manifests import Manifest
from planner.faults import EnvironmentFault, Fault

__all__ = ["RULE", "admission_findings", "pods_of"]

RULE = "api-server-admission"
_WHY = "The API server refuses these pods, whatever it says about the object that makes them."
_TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (), "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), ("spec", "template")),
}
# What may be made by the same deployment, and is therefore not what is asked about.
_MADE_LATER = ("serviceAccountName", "serviceAccount", "priorityClassName", "nodeName")
_REFUSAL = re.compile(r'Error from server[^:]*: (?:error when creating "STDIN": )?(.*)')
_VALUE = re.compile(r'Invalid value: (?:"(?:[^"\\]|\\.)*"|\S+)')


def admission_findings(manifests: Sequence[Manifest], kube: Kube) -> tuple[Finding, ...]:
    """What the API server says to one pod of every template.

    Raises:
        EnvironmentFault: the cluster does not answer.
    """
    findings: list[Finding] = []
    for number, manifest in enumerate(manifests):
        for pod in pods_of(manifest.resource.properties, number):
            done = kube.run("create", "--dry-run=server", "-f", "-", stdin=as_list([pod]), check=False)
            if done.returncode == 0:
                continue
            refusals = _REFUSAL.findall(done.stderr)
            if not refusals:
                raise EnvironmentFault(Fault(
                    what=f"the cluster does not answer: {done.stderr.strip().splitlines()[-1:] or ['no reply']}",
                    where=f"context {kube.context}", fix="start the cluster, or leave out --context",
                ))
            findings += [_finding(manifest, refusal) for refusal in refusals]
    return tuple(findings)


def pods_of(document: Mapping[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """One pod of an object's template, named by ``number``; none where the object makes no pods."""
    path = _TEMPLATES.get(str(document.get("kind")))
    template: Any = document
    for key in path or ():
        template = template.get(key) if isinstance(template, Mapping) else None
    if path is None or not isinstance(template, Mapping) or not isinstance(template.get("spec"), Mapping):
        return
    metadata = template.get("metadata") or {}
    owner = document.get("metadata") or {}
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"llmos-admission-{number}",
            "namespace": owner.get("namespace") or "default",
            **{key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)},
        },
        "spec": {key: value for key, value in template["spec"].items() if key not in _MADE_LATER},
    }


def _finding(manifest: Manifest, refusal: str) -> Finding:
    """A refusal as a row. Quoted values are left out; a namespace that is not there yet only cannot be asked."""
    properties = manifest.resource.properties
    metadata = properties.get("metadata") or {}
    name = "/".join(str(part) for part in (properties["kind"], metadata.get("namespace"), metadata.get("name")) if part)
    absent = re.match(r'namespaces "[^"]*" not found', refusal)
    message = "its namespace does not exist yet, so its pods could not be submitted" if absent else refusal
    return Finding(
        rule=RULE, level="advisory" if absent else "mandatory", object=name, path="",
        message=_VALUE.sub("Invalid value", message), why=_WHY, urn=manifest.resource.urn, file=manifest.file,
        fix="create the namespace first" if absent else "correct the pod template as the message says",
    )
