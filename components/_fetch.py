"""The container that fetches weights into a volume and verifies them: its script, its order, and the Job around it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from components._base import Identity, awaited
from components._hub import ca_volume, hub_environment, hub_mounts, hub_secrets
from components._pod import env_list, hardened, pod_spec, writable
from components._weights import FETCHED, FOLDER, volumes
from planner.plan import AWAITED, ModelPlan

__all__ = ["fetcher", "files", "files_name", "job_name", "job_spec"]

_FILES = "/etc/fetch"
_SCRIPTS = ("fetch_weights.py", "hub_client.py", "weight_store.py")
_HUB = "https://huggingface.co"
_RETRY_SECONDS = 2
# Four files at once, each through a buffer of 1 MiB; the rest is the interpreter and TLS.
_RESOURCES = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "4", "memory": "512Mi"}}


def files(model: ModelPlan) -> dict[str, Any]:
    """Content of the ConfigMap: the script, and its order."""
    order = awaited() if model.revision == AWAITED else _order(model)
    return {**_scripts(model), "order.json": order}


def files_name(model: ModelPlan) -> str:
    """Name of the ConfigMap, with a hash of its content: pods of an older revision keep the order they started with."""
    return f"{model.name}-fetch-{_hash([_scripts(model), _order(model)])}"


def job_name(model: ModelPlan, spec: dict[str, Any]) -> str:
    """Name of the Job, with a hash of all it does: a Job cannot be changed, only followed by another one."""
    return f"{model.name}-fetch-{_hash(spec)}"


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=lambda unknown: "")
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _scripts(model: ModelPlan) -> dict[str, str]:
    folder = Path(__file__).parent / "files"
    from_bucket = model.hub.endpoint.startswith("s3+")
    names = (*_SCRIPTS, "s3_client.py") if from_bucket else _SCRIPTS
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def _order(model: ModelPlan) -> str:
    artifacts: list[dict[str, Any]] = [
        {"source": model.source, "revision": model.revision, "sha256": model.weights.sha256}
    ]
    artifacts += [
        {"source": adapter.source, "revision": adapter.revision, "sha256": adapter.sha256, "rank": adapter.rank}
        for adapter in model.adapters if adapter.source
    ]  # fmt: skip
    order = {
        "folder": FETCHED,
        "endpoint": model.hub.endpoint or _HUB,
        # On a volume of the stack's own, what was served before stays for a rollback; the rest makes room.
        "keep": 2 if model.weights.kept_in == "shared" else 0,
        "wait_seconds": model.load_timeout_seconds,
        "retry_seconds": _RETRY_SECONDS,
        "artifacts": artifacts,
    }
    return json.dumps(order, indent=1, sort_keys=True)


def fetcher(model: ModelPlan, *, image: Any, verb: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The container that fetches, or that waits for another one to, and the volumes that it adds to the pod.

    The hub's token, certificates and proxy are given to it alone: a server that finds its weights needs none of them.
    """
    fetches = verb == "fetch"
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    made = hardened(
        name=f"weights-{verb}",
        image=model.weights.download_image or image,
        command=["python3", f"{_FILES}/fetch_weights.py", verb, f"{_FILES}/order.json"],
        env=env_list(
            {**environment, **(hub_environment(model.hub) if fetches else {})},
            hub_secrets(model.hub) if fetches else {},
        ),
        resources=_RESOURCES,
        volumeMounts=[
            {**writable("weights", FOLDER), **({} if fetches else {"readOnly": True})},
            {"name": "fetch", "mountPath": _FILES, "readOnly": True},
            *(hub_mounts(model.hub) if fetches else []),
        ],
    )
    script = {"name": "fetch", "configMap": {"name": files_name(model), "defaultMode": 0o444}}
    return made, [script, *(ca_volume(model.hub) if fetches else [])]


def job_spec(identity: Identity, model: ModelPlan, *, name: str, image: Any, pull_secret: str) -> dict[str, Any]:
    """A Job that fills the shared volume. It asks for no GPU, so that none is paid for while bytes arrive.

    Args:
        identity: stack and namespace.
        model: the plan's decisions.
        name: of its pods, which must not be taken for those of the model server.
        image: server image, used where the plan names no other.
        pull_secret: Secret that pods pull with; empty for none.
    """
    fetch, more = fetcher(model, image=image, verb="fetch")
    labels = identity.labels(name, "weights")
    pod = pod_spec(
        service_account=model.name,
        selector=identity.selector(name),
        containers=[fetch],
        volumes=[*volumes(model, labels=labels)[:1], *more],
        stream_seconds=0,
        pull_secret=pull_secret,
        restartPolicy="OnFailure",
    )
    return {
        "backoffLimit": 6,
        # A file that fails is asked for again by the script itself; this ends what hangs.
        "activeDeadlineSeconds": 2 * model.load_timeout_seconds,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
