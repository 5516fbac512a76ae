"""Namespaces: named, and closed by default."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ._model import KubeObject, Pod, Stack
from ._node import UNKNOWN
from ._rule import Context, Rule, Violation, each_object
from ._select import selects

__all__ = ["RULES"]

_POLICIES = "https://kubernetes.io/docs/concepts/services-networking/network-policies/"
_NAMESPACED = (
    "Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "DeploymentConfig", "Service",
    "Ingress", "ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim", "HorizontalPodAutoscaler",
)


def _named(found: KubeObject, context: Context) -> Iterable[Violation]:
    node = found.root.get("metadata", "namespace")
    if node.text in (None, "", "default"):
        yield Violation(path=node.path, message="the object lies in the default namespace")


@dataclass(frozen=True, kw_only=True)
class _Namespace:
    """A namespace that has pods, with the stack it is in."""

    name: str
    workloads: tuple[KubeObject, ...]

    @property
    def object(self) -> str:
        return f"Namespace/{self.name or 'default'}"

    @property
    def urn(self) -> str:
        return self.workloads[0].urn


def _with_pods(stack: Stack) -> Iterator[_Namespace]:
    for name in sorted({found.namespace for found in stack.workloads}):
        yield _Namespace(name=name, workloads=tuple(found for found in stack.workloads if found.namespace == name))


def _default_deny(namespace: _Namespace, context: Context) -> Iterable[Violation]:
    denied: set[str] = set()
    for policy in context.stack.of_kind("NetworkPolicy"):
        spec = policy.root.get("spec")
        if policy.namespace == namespace.name and _covers(spec.get("podSelector").value, namespace):
            types = {node.text for node in spec.get("policyTypes").elements()} or {"Ingress"}
            denied |= {kind for kind in types if kind and not list(spec.get(kind.lower()).elements())}
    for kind in ("Ingress", "Egress"):
        if kind not in denied:
            yield Violation(path="", message=f"no NetworkPolicy denies all {kind.lower()} by default")


def _covers(selector: Any, namespace: _Namespace) -> bool:
    """Whether a policy concerns every pod of the stack: all of the namespace, or, where others own the namespace and
    its fence, all that the stack has in it."""
    if selector in ({}, None):
        return True
    return all(selects(selector, pod.labels) for found in namespace.workloads for pod in found.pods)


def _isolated(pod: Pod, context: Context) -> Iterable[Violation]:
    if pod.template.raw is UNKNOWN:
        pod.template.value  # noqa: B018  reports the template as unchecked
    for policy in context.stack.of_kind("NetworkPolicy"):
        selector = policy.root.get("spec", "podSelector").value
        if policy.namespace == pod.owner.namespace and selects(selector if selector is not None else {}, pod.labels):
            return
    yield Violation(path="", message="no NetworkPolicy selects its pods")


def _pods(stack: Stack) -> Iterator[Pod]:
    return (pod for found in stack.workloads for pod in found.pods)


RULES = (
    Rule(
        id="default-namespace",
        title="Nothing lies in the default namespace.",
        why="It has no quota, no network policy and no owner, and every tool that forgets a namespace writes into it.",
        fix="name a namespace",
        sources=("https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",),
        controls=("cis-kubernetes/5.6.4", "nsa/namespaces"),
        cells=each_object(*_NAMESPACED),
        checks=(_named,),
    ),
    Rule(
        id="network-default-deny",
        title="Every namespace with pods denies all traffic by default, at least to all pods of the stack.",
        why="Without it a pod that is taken over reaches every other one, and the internet.",
        fix="add a NetworkPolicy with podSelector: {} and policyTypes: [Ingress, Egress]",
        sources=(f"{_POLICIES}#default-deny-all-ingress-and-all-egress-traffic",),
        controls=("cis-kubernetes/5.3.2", "nsa/network-policies"),
        stack_cells=_with_pods,
        checks=(_default_deny,),
    ),
    Rule(
        id="network-isolation",
        title="Every pod is selected by a NetworkPolicy.",
        why="A pod that none selects accepts connections from everywhere.",
        fix="add a NetworkPolicy that selects it, or one for the whole namespace",
        sources=(f"{_POLICIES}#the-two-sorts-of-pod-isolation",),
        controls=("cis-kubernetes/5.3.2", "nsa/network-policies"),
        stack_cells=_pods,
        checks=(_isolated,),
    ),
)
