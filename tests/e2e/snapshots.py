"""What a cluster holds of a stack, in a form that can be compared with that of another stack."""

from __future__ import annotations

import yaml

from llmos.engines.applyset import ApplySet
from llmos.engines.shapes import comparable
from llmos.kube import Kube, KubeObject, identity

__all__ = ["PATIENCE_SECONDS", "Snapshot", "set_id", "snapshot"]

PATIENCE_SECONDS = 120
"""How long a run may take before a test gives up."""

_KINDS = "configmaps,secrets,networkpolicies,deployments,services,leases,serviceaccounts"

Snapshot = dict[tuple[str, ...], KubeObject]


def snapshot(kube: Kube, stack: str) -> Snapshot:
    """Everything of the stack, without what the server decides."""
    found = [item for item in kube.get(_KINDS, "-n", stack) if item["metadata"]["name"] not in
             ("kube-root-ca.crt", "default")]  # fmt: skip
    found += [item for item in kube.get("nodepools") if item["metadata"]["name"] == stack]
    found += kube.get("namespace", stack)
    plain = {}
    for item in found:
        kept = comparable(item)
        # Karpenter hashes a spec that holds the stack's name.
        noted = {k: v for k, v in kept["metadata"].get("annotations", {}).items() if not k.startswith("karpenter.sh/")}
        kept["metadata"]["annotations"] = noted | {"deployment.kubernetes.io/revision": ""}
        if item["kind"] == "Service":
            for field in ("clusterIP", "clusterIPs"):
                kept["spec"].pop(field, None)
        # Names carry the stack, and two stacks are compared.
        plain[tuple(part.replace(stack, "STACK") for part in identity(item))] = yaml.safe_load(
            yaml.safe_dump(kept).replace(stack, "STACK").replace(set_id(stack), "SET")
        )
    return plain


def set_id(stack: str) -> str:
    return ApplySet(kube=Kube(), stack=stack, namespace=stack).id
