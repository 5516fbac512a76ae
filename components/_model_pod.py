"""The Deployment of a model server: vLLM on GPUs, llama.cpp on CPUs."""

from __future__ import annotations

from typing import Any

from components import _vllm
from components._base import Identity
from components._placement import model_selector, part_labels, placement
from components._pod import container, env_list, http_probes, merge, pod_spec, volume, writable
from planner.plan import ModelPlan, ServerPart

__all__ = ["deployment_spec", "server_port"]

_LLAMA_PORT = 8080
_GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def server_port(model: ModelPlan) -> int:
    """Port that the server listens on."""
    return _vllm.PORT if model.engine == "vllm" else _LLAMA_PORT


def deployment_spec(
    identity: Identity,
    model: ModelPlan,
    part: ServerPart,
    *,
    image: Any,
    pull_secret: str,
    node_selector: dict[str, str],
) -> dict[str, Any]:
    """Spec of one Deployment of the model.

    Args:
        identity: stack and namespace.
        model: the plan's decisions.
        part: which of its replicas.
        image: server image with digest.
        pull_secret: Secret that pods pull with; empty for none.
        node_selector: labels of the GPU pool's nodes; empty on CPUs.
    """
    labels = part_labels(identity, model, part)
    if model.engine == "vllm":
        parts = _vllm.pod_parts(model, image=image, resources=_resources(model), labels=labels)
        where = placement(identity, model, part, node_selector=node_selector)
        machines = {"tolerations": [_GPU_TOLERATION], **where}
    else:
        parts, machines = _llama_parts(model, image), {}
    pod = pod_spec(
        service_account=model.name,
        selector=model_selector(identity, model),
        stream_seconds=model.stream_seconds,
        pull_secret=pull_secret,
        **machines,
        **parts,
    )
    return {
        "replicas": part.replicas_min,
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": model.load_timeout_seconds,
        "selector": {"matchLabels": identity.selector(part.name)},
        "strategy": _strategy(model),
        "template": {"metadata": {"labels": labels}, "spec": merge(pod, model.pod_overrides)},
    }


def _strategy(model: ModelPlan) -> dict[str, Any]:
    if model.weights.claim_access == "ReadWriteOnce":
        # A new pod on another node would wait for a volume that the old one gives up only when it is gone.
        return {"type": "Recreate"}
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": model.surge, "maxUnavailable": 0 if model.surge else 1},
    }


def _resources(model: ModelPlan) -> dict[str, Any]:
    memory = {"memory": f"{round(model.memory_gib * 1024)}Mi"}
    gpus = {model.gpu_resource: str(model.gpus)} if model.gpus else {}
    cpu = f"{round(model.cpu_cores * 1000)}m"
    limit = f"{round(model.cpu_cores * (1000 if model.gpus else 4000))}m"
    return {"requests": {"cpu": cpu, **memory, **gpus}, "limits": {"cpu": limit, **memory, **gpus}}


def _llama_parts(model: ModelPlan, image: Any) -> dict[str, list[dict[str, Any]]]:
    name, context = f"--served-model-name={model.name}", f"--context-tokens={model.context_tokens}"
    server = container(
        name="server",
        image=image,
        port=_LLAMA_PORT,
        command=["python3", "-m", "assistant.model_server"],
        args=[f"--port={_LLAMA_PORT}", name, context],
        env=env_list({"DRAIN_SECONDS": str(model.stream_seconds)}, {}),
        resources=_resources(model),
        volumeMounts=[writable("tmp", "/tmp")],
        **http_probes(startup="/health", ready="/health", alive="/health", start_seconds=model.load_timeout_seconds),
    )
    return {"containers": [server], "volumes": [volume("tmp", "256Mi")]}
