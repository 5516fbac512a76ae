"""Where a model server finds its weights: volumes, mounts, and folders in them."""

from __future__ import annotations

from typing import Any

import pulumi

from components._base import awaited
from components._pod import volume, writable
from planner.plan import AWAITED, AdapterPlan, ModelPlan

__all__ = [
    "FETCHED", "FOLDER", "adapter_folder", "claim_name", "claim_spec", "model_folder", "server_mounts", "volumes",
]  # fmt: skip

FOLDER = "/weights"
FETCHED = f"{FOLDER}/models"
"""Where ``fetch_weights.py`` puts revisions: ``<source>/<revision>``."""
_ADAPTERS = "/adapters"


def claim_name(model: ModelPlan) -> str:
    """The claim that all replicas mount: one of the stack's own, or an existing one; empty for neither."""
    return f"{model.name}-weights" if model.weights.kept_in == "shared" else model.weights.claim


def claim_spec(model: ModelPlan) -> dict[str, Any]:
    """The stack's own claim."""
    return _claim("ReadWriteMany", model)


def _claim(access: str, model: ModelPlan) -> dict[str, Any]:
    kind = {"storageClassName": model.weights.storage_class} if model.weights.storage_class else {}
    return {
        "accessModes": [access], **kind, "resources": {"requests": {"storage": f"{model.weights.size_gib}Gi"}},
    }  # fmt: skip


def volumes(model: ModelPlan, *, labels: dict[str, str]) -> list[dict[str, Any]]:
    """The volume of the weights, and those of adapters that are images."""
    weights = model.weights
    claim = claim_name(model)
    if weights.kept_in == "image":
        made = _image("weights", weights.image)
    elif claim:
        read_only = {"readOnly": True} if weights.download == "none" else {}
        made = {"name": "weights", "persistentVolumeClaim": {"claimName": claim, **read_only}}
    elif weights.kept_in == "replica":
        # A claim that comes and goes with its pod: ReadWriteOnce, and still no pod waits for another one's volume.
        template = {"metadata": {"labels": labels}, "spec": _claim("ReadWriteOnce", model)}
        made = {"name": "weights", "ephemeral": {"volumeClaimTemplate": template}}
    else:
        made = volume("weights", f"{weights.size_gib}Gi")
    return [made, *(_image(f"adapter-{a.name}", a.image) for a in model.adapters if a.image)]


def _image(name: str, reference: str) -> dict[str, Any]:
    return {"name": name, "image": {"reference": reference, "pullPolicy": "IfNotPresent"}}


def server_mounts(model: ModelPlan) -> list[dict[str, Any]]:
    """What the server sees; what was verified, or came with an image, it cannot change."""
    mounts = [{**writable("weights", FOLDER), **({"readOnly": True} if model.weights.offline else {})}]
    adapters = [adapter.name for adapter in model.adapters if adapter.image]
    return mounts + [
        {"name": f"adapter-{name}", "mountPath": f"{_ADAPTERS}/{name}", "readOnly": True} for name in adapters
    ]


def model_folder(model: ModelPlan) -> Any:
    """Where the model's files are for a server that is offline; unknown while its revision is."""
    if model.weights.download == "none":
        return f"{FOLDER}/{model.weights.path}".rstrip("/")
    if model.revision == AWAITED:
        return pulumi.Output.concat(f"{FETCHED}/", awaited())
    return _fetched(model.source, model.revision)


def adapter_folder(adapter: AdapterPlan) -> str:
    """Where an adapter's files are."""
    if adapter.source:
        return _fetched(adapter.source, adapter.revision)
    return f"{FOLDER}/{adapter.path}" if adapter.path else f"{_ADAPTERS}/{adapter.name}"


def _fetched(source: str, revision: str) -> str:
    """As ``fetch_weights.py`` lays it out."""
    return f"{FETCHED}/{source.replace('/', '--')}/{revision}"
