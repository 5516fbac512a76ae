"""The vLLM server: its arguments, environment and pod under the restricted Pod Security Standard."""

from __future__ import annotations

from typing import Any

import pulumi

from components._base import awaited
from components._fetch import fetcher
from components._hub import ca_volume, hub_environment, hub_mounts, hub_secrets
from components._pod import container, env_list, http_probes, volume, writable
from components._weights import FOLDER, adapter_folder, model_folder, server_mounts, volumes
from planner.plan import AWAITED, ModelPlan

__all__ = ["PORT", "arguments", "environment", "pod_parts"]

PORT = 8000
_CACHE = "/cache"
# Adapters in one batch, each of which reserves GPU memory for the largest rank; further ones wait in main memory.
_LORAS_AT_ONCE = 8


def arguments(model: ModelPlan) -> list[Any]:
    """Command line of ``vllm serve`` (the image's entrypoint), in vLLM 0.28's spelling."""
    args: list[Any] = [*_source(model), f"--served-model-name={model.name}", f"--port={PORT}", *_revision(model)]
    args += [
        f"--max-model-len={model.context_tokens}",
        f"--max-num-seqs={model.max_sequences}",
        f"--tensor-parallel-size={model.tensor_parallel}",
        *([f"--pipeline-parallel-size={model.pipeline_parallel}"] if model.pipeline_parallel > 1 else []),
        # Safetensors cannot carry code, pickled checkpoints can.
        "--load-format=safetensors",
        *([] if model.weights.offline else [f"--download-dir={FOLDER}"]),
        "--enable-prefix-caching",
        f"--shutdown-timeout={model.stream_seconds}",
    ]
    if model.quantization not in ("auto", "none"):
        args.append(f"--quantization={model.quantization}")
    if model.gpu_memory_utilization:
        args.append(f"--gpu-memory-utilization={model.gpu_memory_utilization:g}")
    if model.batched_tokens:
        args.append(f"--max-num-batched-tokens={model.batched_tokens}")
    return [*(arg for arg in args if _flag(arg) not in model.replaced_args), *_adapters(model), *model.extra_args]


def _flag(argument: Any) -> str:
    return argument.removeprefix("--").partition("=")[0] if isinstance(argument, str) else ""


def _source(model: ModelPlan) -> list[Any]:
    if not model.weights.offline:
        return [f"--model={model.source}"]
    folder = model_folder(model)
    return [f"--model={folder}" if isinstance(folder, str) else pulumi.Output.concat("--model=", folder)]


def _revision(model: ModelPlan) -> list[Any]:
    """Tokenizer and code have revisions of their own in vLLM; unpinned they would follow the main branch."""
    if model.weights.offline or not model.revision:
        return []
    if model.revision == AWAITED:
        return [awaited()]
    return [f"--revision={model.revision}", f"--tokenizer-revision={model.revision}"]


def _adapters(model: ModelPlan) -> list[str]:
    """Each adapter is a model of its own in the API, called ``<model>/<adapter>``."""
    if not model.adapters:
        return []
    count = len(model.adapters)
    modules = [f"{model.name}/{adapter.name}={adapter_folder(adapter)}" for adapter in model.adapters]
    return [
        "--enable-lora", f"--max-lora-rank={model.lora_rank}", f"--max-loras={min(count, _LORAS_AT_ONCE)}",
        f"--max-cpu-loras={count}", "--lora-modules", *modules,
    ]  # fmt: skip


def environment(model: ModelPlan) -> dict[str, str]:
    """Caches on the writable volume, no telemetry, and a user name, which PyTorch asks for and the image lacks."""
    offline = model.weights.offline
    hub = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if offline else hub_environment(model.hub)
    return {
        "DO_NOT_TRACK": "1",
        "HF_HOME": f"{_CACHE}/hub" if offline else f"{FOLDER}/hub",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HOME": _CACHE,
        "TORCHINDUCTOR_CACHE_DIR": f"{_CACHE}/inductor",
        "TRITON_CACHE_DIR": f"{_CACHE}/triton",
        "USER": "vllm",
        "VLLM_CACHE_ROOT": f"{_CACHE}/vllm",
        "VLLM_NO_USAGE_STATS": "1",
        "XDG_CACHE_HOME": _CACHE,
        **hub,
    }


def pod_parts(
    model: ModelPlan, *, image: Any, resources: dict[str, Any], labels: dict[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Containers, init containers and volumes of a server's pod.

    Args:
        model: the plan's decisions.
        image: server image with digest.
        resources: requests and limits of the server.
        labels: of volumes that come and go with a pod.
    """
    offline, download = model.weights.offline, model.weights.download
    server = container(
        name="server",
        image=image,
        port=PORT,
        args=arguments(model),
        env=env_list(environment(model), {} if offline else hub_secrets(model.hub)),
        resources=resources,
        volumeMounts=[
            *server_mounts(model), writable("cache", _CACHE), writable("tmp", "/tmp"), writable("shm", "/dev/shm"),
            *([] if offline else hub_mounts(model.hub)),
        ],
        **http_probes(
            startup="/v1/models", ready="/health", alive="/health", start_seconds=model.load_timeout_seconds
        ),
    )  # fmt: skip
    made = [
        *volumes(model, labels=labels), volume("cache", "10Gi"), volume("tmp", "2Gi"), volume("shm", "2Gi", memory=True)
    ]  # fmt: skip
    if download in ("init", "job"):
        first, more = fetcher(model, image=image, verb="fetch" if download == "init" else "wait")
        return {"containers": [server], "initContainers": [first], "volumes": [*made, *more]}
    return {"containers": [server], "volumes": [*made, *([] if offline else ca_volume(model.hub))]}
