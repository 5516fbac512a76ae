"""The vLLM server: its arguments, environment and volumes under the restricted Pod Security Standard."""

from __future__ import annotations

from typing import Any

from components._base import awaited
from components._pod import volume, writable
from planner.plan import AWAITED, ModelPlan

__all__ = ["PORT", "arguments", "environment", "volumes"]

PORT = 8000
_WEIGHTS, _CACHE = "/weights", "/cache"


def arguments(model: ModelPlan) -> list[Any]:
    """Command line of ``vllm serve`` (the image's entrypoint), in vLLM 0.28's spelling."""
    args: list[Any] = [f"--model={model.source}", f"--served-model-name={model.name}", f"--port={PORT}"]
    if model.revision == AWAITED:
        args += [awaited()]
    elif model.revision:
        # Tokenizer and code have revisions of their own in vLLM; unpinned they would follow the main branch.
        args += [f"--revision={model.revision}", f"--tokenizer-revision={model.revision}"]
    args += [
        f"--max-model-len={model.context_tokens}",
        f"--max-num-seqs={model.max_sequences}",
        f"--tensor-parallel-size={model.tensor_parallel}",
        *([f"--pipeline-parallel-size={model.pipeline_parallel}"] if model.pipeline_parallel > 1 else []),
        # Safetensors cannot carry code, pickled checkpoints can.
        "--load-format=safetensors",
        f"--download-dir={_WEIGHTS}",
        "--enable-prefix-caching",
        f"--shutdown-timeout={model.stream_seconds}",
    ]
    if model.quantization not in ("auto", "none"):
        args.append(f"--quantization={model.quantization}")
    if model.batched_tokens:
        args.append(f"--max-num-batched-tokens={model.batched_tokens}")
    return [*args, *model.extra_args]


def environment() -> dict[str, str]:
    """Caches on the writable volume, no telemetry, and a user name, which PyTorch asks for and the image lacks."""
    return {
        "DO_NOT_TRACK": "1",
        "HF_HOME": f"{_WEIGHTS}/hub",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HOME": _CACHE,
        "TORCHINDUCTOR_CACHE_DIR": f"{_CACHE}/inductor",
        "TRITON_CACHE_DIR": f"{_CACHE}/triton",
        "USER": "vllm",
        "VLLM_CACHE_ROOT": f"{_CACHE}/vllm",
        "VLLM_NO_USAGE_STATS": "1",
        "XDG_CACHE_HOME": _CACHE,
    }


def volumes(model: ModelPlan, *, claim: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes and mounts: weights, caches, /tmp and shared memory for the ranks of tensor parallelism."""
    # A third more than the checkpoint: the hub keeps partial files while it downloads. 200 GiB where it is unknown.
    weights_gib = -(-model.weights_gib * 4 // 3) or 200
    weights = volume("weights", f"{weights_gib:.0f}Gi")
    if claim:
        weights = {"name": "weights", "persistentVolumeClaim": {"claimName": claim}}
    made = [weights, volume("cache", "10Gi"), volume("tmp", "2Gi"), volume("shm", "2Gi", memory=True)]
    places = {"weights": _WEIGHTS, "cache": _CACHE, "tmp": "/tmp", "shm": "/dev/shm"}
    return made, [writable(name, path) for name, path in places.items()]
