"""What the pulumi engine asks of a cluster before it touches it: who owns the namespace, and is it still the same."""

from __future__ import annotations

from llmos.engines.base import ENGINE_LABEL, EngineRun
from llmos.kube import Kube
from planner.faults import EnvironmentFault, Fault, UserFault

__all__ = ["cluster_uid", "refuse_foreign_namespace"]


def refuse_foreign_namespace(run: EngineRun) -> None:
    """Two engines on one namespace would delete each other's objects.

    Raises:
        UserFault: another engine deployed into the namespace.
    """
    labels = _get(run, run.namespace).get("labels") or {}
    owner = labels.get(ENGINE_LABEL, "pulumi")
    if owner != "pulumi":
        fault = Fault(
            what=f"the namespace belongs to the {owner} engine",
            where=f"namespace {run.namespace}",
            fix=f"go on with `--engine {owner}`, or `llmos destroy --engine {owner}` first",
        )
        raise UserFault(fault)


def cluster_uid(run: EngineRun) -> str:
    """What tells a cluster from one that replaced it under the same name; empty when it cannot be asked."""
    return str(_get(run, "kube-system").get("uid") or "")


def _get(run: EngineRun, namespace: str) -> dict[str, object]:
    """Metadata of a namespace; empty when there is none, or no kubectl: the provider then fails by itself. Without
    kubeconfig and context (target aws) nobody is asked: it would be whatever cluster kubectl points at."""
    if run.kubeconfig is None and run.context is None:
        return {}
    kube = Kube(kubectl=run.kubectl or "kubectl", kubeconfig=run.kubeconfig, context=run.context)
    try:
        found = kube.get("namespace", namespace, "--request-timeout=10s")
    except EnvironmentFault:
        return {}
    return found[0]["metadata"] if found else {}
