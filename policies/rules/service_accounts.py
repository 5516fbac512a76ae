"""The identity of pods towards the API server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ._model import KubeObject, Pod, Stack
from ._rule import Context, Rule, Violation, each_pod

__all__ = ["RULES"]

_DOCS = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/"


def _pods(stack: Stack) -> Iterator[Pod]:
    return (pod for found in stack.workloads for pod in found.pods)


def _account(stack: Stack, pod: Pod) -> KubeObject | None:
    name = pod.spec.get("serviceAccountName").text or pod.spec.get("serviceAccount").text or "default"
    accounts = stack.of_kind("ServiceAccount")
    return next((found for found in accounts if (found.name, found.namespace) == (name, pod.owner.namespace)), None)


def _token(pod: Pod, context: Context) -> Iterable[Violation]:
    """The pod's own field wins over its account's; both default to mounting."""
    node = pod.spec.get("automountServiceAccountToken")
    mounted = node.flag
    if mounted is None:
        account = _account(context.stack, pod)
        mounted = account is None or account.root.get("automountServiceAccountToken").flag is not False
    if mounted:
        yield Violation(path=node.path, message="the service account's token is mounted into the pod")


def _own_account(pod: Pod, context: Context) -> Iterable[Violation]:
    node = pod.spec.get("serviceAccountName")
    name = node.text or pod.spec.get("serviceAccount").text
    if name in (None, "", "default"):
        yield Violation(path=node.path, message="the pod runs as the namespace's default service account")


def _deprecated(pod: Pod, context: Context) -> Iterable[Violation]:
    node = pod.spec.get("serviceAccount")
    # The API server writes both fields, so only the old one alone shows that somebody wrote it.
    if node.exists and not pod.spec.get("serviceAccountName").exists:
        yield Violation(path=node.path, message="the deprecated field serviceAccount is used")


RULES = (
    Rule(
        id="service-account-token",
        title="Pods do not mount a service account token.",
        why="A model server has no business with the API server; its token is what an intruder looks for first.",
        fix="set automountServiceAccountToken: false",
        sources=(f"{_DOCS}#opt-out-of-api-credential-automounting",),
        controls=("cis-kubernetes/5.1.6", "nsa/service-account-tokens", "owasp-llm/LLM06:2025"),
        stack_cells=_pods,
        checks=(_token,),
    ),
    Rule(
        id="service-account",
        title="Every pod runs as a service account of its own.",
        why="Rights granted to `default` reach every pod of the namespace that names no account.",
        fix="create a ServiceAccount and name it in serviceAccountName",
        sources=(_DOCS,),
        controls=("cis-kubernetes/5.1.5",),
        cells=each_pod,
        checks=(_own_account,),
    ),
    Rule(
        id="service-account-field",
        title="The service account is named by serviceAccountName.",
        why="The old field is ignored by tools that look for the new one, so reviews miss the account.",
        fix="rename serviceAccount to serviceAccountName",
        sources=("https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec",),
        level="advisory",
        cells=each_pod,
        checks=(_deprecated,),
    ),
)
