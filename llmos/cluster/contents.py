"""What an embedded cluster holds from the start: simulated nodes and storage, and Karpenter's resource types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmos.cluster.instance_types import ZONES
from llmos.process import run

__all__ = ["BASE_NODES", "SIMULATED_LABEL", "apply", "is_simulated"]

SIMULATED_LABEL = "llmagentos.dev/simulated"
"""Label of nodes that nothing runs on."""

# One per zone, of the size of a common laptop's share for containers: the sample stack fits, and what does not
# shows as Pending, as it would on a real cluster.
BASE_NODES = {f"simulated-{zone.removeprefix('local-')}": zone for zone in ZONES}
"""Name to zone of the nodes for everything that asks for no GPU."""
_BASE_NODE_CPU = "4"
_BASE_NODE_MEMORY = "16Gi"

_STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "simulated", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "llmagentos.dev/simulated",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}


def is_simulated(node: Mapping[str, Any]) -> bool:
    """Whether nothing runs on a node, as the API server describes it."""
    metadata = node.get("metadata", {})
    return SIMULATED_LABEL in metadata.get("labels", {}) or "kwok.x-k8s.io/node" in metadata.get("annotations", {})


def apply(folder: Path, *, kubectl: Path, karpenter_crds: Path) -> None:
    """Create nodes, storage class and Karpenter's resource types, or bring them back to what they should be."""
    command = [kubectl, "--kubeconfig", folder / "kubeconfig.yaml"]
    items = [_STORAGE_CLASS, *(_node(*node) for node in BASE_NODES.items())]
    # The nodes' status is written with them: only a kubelet could add it later, and there is none. Validation by the
    # client would fetch the whole API schema from a server that is still busy putting it together.
    words = ["apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-", "-f", karpenter_crds]
    run([*command, *words], stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    run([*command, "wait", "--for=condition=Established", "--timeout=60s", "-f", karpenter_crds])


def _node(name: str, zone: str) -> dict:
    resources = {"cpu": _BASE_NODE_CPU, "memory": _BASE_NODE_MEMORY, "ephemeral-storage": "100Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                SIMULATED_LABEL: "true",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                "topology.kubernetes.io/region": "local",
                "topology.kubernetes.io/zone": zone,
                "type": "kwok",
            },
            "annotations": {"kwok.x-k8s.io/node": "fake", "llmagentos.dev/note": "simulated: its pods run nothing"},
        },
        "status": {"capacity": resources, "allocatable": resources, "phase": "Pending"},
    }
