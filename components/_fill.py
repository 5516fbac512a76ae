"""The container that copies weights from the hub into a bucket: its scripts, its order, and the Job around it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from components._base import Identity, awaited
from components._hub import ca_volume, hub_environment, hub_mounts, hub_secrets
from components._network import to_block
from components._pod import env_list, hardened, pod_spec
from planner.plan import AWAITED, WeightsPlan

__all__ = ["files", "fill_flows", "job_spec", "short_hash"]

_FILES = "/etc/fill"
_SCRIPTS = ("fill_store.py", "hub_client.py", "s3_client.py", "weight_store.py")
_HUB = "https://huggingface.co"
_RETRY_SECONDS = 2
# Four parts of 32 MiB at once, each held twice while it is signed; the rest is the interpreter and TLS.
_RESOURCES = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "4", "memory": "1Gi"}}
_AGENT, _AGENT_PORT = "169.254.170.23/32", 80


def short_hash(content: Any) -> str:
    """Ten hex digits; what is not known yet counts as nothing."""
    text = json.dumps(content, sort_keys=True, default=lambda unknown: "")
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def files(weights: WeightsPlan, store: str) -> dict[str, Any]:
    """Content of the ConfigMap: the scripts, and the order."""
    folder = Path(__file__).parent / "files"
    scripts = {name: (folder / name).read_text(encoding="utf-8") for name in _SCRIPTS}
    unknown = any(artifact.revision == AWAITED for artifact in weights.artifacts)
    order = {
        "store": store,
        "endpoint": weights.hub.endpoint or _HUB,
        "retry_seconds": _RETRY_SECONDS,
        "artifacts": [
            {"source": artifact.source, "revision": artifact.revision, "sha256": artifact.sha256}
            for artifact in weights.artifacts
        ],
    }
    return {**scripts, "order.json": awaited() if unknown else json.dumps(order, indent=1, sort_keys=True)}


def fill_flows(weights: WeightsPlan, identity: Identity, *, name: str, hub: list[dict[str, Any]]) -> dict[str, Any]:
    """NetworkPolicy of the Job: nobody reaches it; it reaches the hub, S3 by the hub's way or directly, and the agent
    on its node that gives it the rights to write."""
    return {
        "podSelector": {"matchLabels": identity.selector(name)},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [*hub, to_block(_AGENT, [_AGENT_PORT])],
    }


def job_spec(
    identity: Identity, weights: WeightsPlan, *, name: str, files_name: str, image: Any, pull_secret: str
) -> dict[str, Any]:
    """The Job. Its pods run on machines without GPUs.

    Args:
        identity: stack and namespace.
        weights: the plan's decisions.
        name: of its pods and their service account.
        files_name: name of the ConfigMap.
        image: any image with Python 3.9 or newer.
        pull_secret: Secret that pods pull with; empty for none.
    """
    fill = hardened(
        name="weights-fill",
        image=weights.image_ref or image,
        command=["python3", f"{_FILES}/fill_store.py", f"{_FILES}/order.json"],
        env=env_list(
            {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **hub_environment(weights.hub)},
            hub_secrets(weights.hub),
        ),
        resources=_RESOURCES,
        volumeMounts=[{"name": "fill", "mountPath": _FILES, "readOnly": True}, *hub_mounts(weights.hub)],
    )
    script = {"name": "fill", "configMap": {"name": files_name, "defaultMode": 0o444}}
    pod = pod_spec(
        service_account=name,
        selector=identity.selector(name),
        containers=[fill],
        volumes=[script, *ca_volume(weights.hub)],
        stream_seconds=0,
        pull_secret=pull_secret,
        restartPolicy="OnFailure",
    )
    return {
        "backoffLimit": 6,
        # A file that fails is asked for again by the script itself; this ends what hangs.
        "activeDeadlineSeconds": weights.timeout_seconds,
        "template": {"metadata": {"labels": identity.labels(name, "weights")}, "spec": pod},
    }
