"""What an instance type, a GPU generation and an architecture permit, before memory and speed are looked at."""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalogue import Gpu, InstanceType, ModelSpec, Precision

__all__ = ["hardware_reason", "parallelisms", "precisions"]

_LEAST_CAPABILITY: dict[Precision, tuple[int, int]] = {
    "bf16": (7, 5), "int4": (7, 5), "fp8": (8, 0), "mxfp4": (8, 0), "nvfp4": (8, 0),
}  # fmt: skip
"""vLLM documentation, "Supported Hardware" for quantisation: below their native generation fp8, mxfp4 and nvfp4 weights
are unpacked by Marlin kernels, which need compute capability 8.0; bf16 models run in fp16 on 7.5."""
_STEP_ORDER: tuple[Precision, ...] = ("bf16", "fp8", "int4")
_DEGREES = (1, 2, 4, 8, 16)


def hardware_reason(instance: InstanceType, gpu: Gpu | None, *, min_memory_gib: float) -> str:
    """Why no model server runs on that instance type; empty when it does."""
    if not instance.supported:
        return instance.unsupported_reason
    if gpu is None:
        return (
            "it has no GPU: the vLLM image is built for CUDA, and llama.cpp, which runs on CPUs, needs the model as a "
            "GGUF file, which the hub's checkpoints are not"
        )
    if instance.memory_gib < min_memory_gib:
        return f"it has {instance.memory_gib:g} GiB of main memory, and a server needs {min_memory_gib:g}"
    return ""


def precisions(
    model: ModelSpec, gpu: Gpu, quality_steps: tuple[Precision, ...], fp8_cache: bool
) -> Iterator[tuple[Precision, float, str]]:
    """(weights, bytes per cached number, why not) of every precision to look at: the published one, and the lower ones
    that the user allows."""
    published = model.precision
    steps = [published]
    if published in _STEP_ORDER:
        lower = _STEP_ORDER[_STEP_ORDER.index(published) + 1 :]
        steps += [step for step in lower if step in quality_steps]
    for precision in steps:
        for kv_bytes in (2.0, 1.0) if fp8_cache else (2.0,):
            yield precision, kv_bytes, _capability_reason(precision, kv_bytes, gpu)


def _capability_reason(precision: Precision, kv_bytes: float, gpu: Gpu) -> str:
    major, minor = gpu.compute_capability
    if (major, minor) == (0, 0):
        return "" if kv_bytes >= 2 else "llama.cpp is sized with a half-precision cache only"
    if gpu.compute_capability < _LEAST_CAPABILITY[precision]:
        least = ".".join(str(part) for part in _LEAST_CAPABILITY[precision])
        return f"{precision} weights need compute capability {least}, and {gpu.product} has {major}.{minor}"
    if kv_bytes < 2 and gpu.compute_capability < (8, 0):
        return f"an fp8 cache needs compute capability 8.0, and {gpu.product} has {major}.{minor}"
    return ""


def parallelisms(
    model: ModelSpec, *, gpus: int, max_gpus: int | None, nvlink: bool, max_nodes: int
) -> Iterator[tuple[int, int]]:
    """(tensor, pipeline) degrees on nodes with that many GPUs: those of one node, fewest stages first, then those that
    span nodes.

    vLLM divides the query heads evenly, and the KV heads evenly or with whole copies (``QKVParallelLinear``). Stages
    inside a node use GPUs that the heads do not divide by, and spare GPUs on PCIe the all-reduces of every layer. Over
    several nodes a stage fills a node, because tensor parallelism across nodes is slow.
    """
    most = max_gpus or gpus * max_nodes
    degrees = [degree for degree in _DEGREES if degree <= gpus and _divides(model, degree)]
    inside = [(degree, 1) for degree in degrees]
    for total in (degree for degree in _DEGREES if 1 < degree <= gpus):
        tensors = [degree for degree in degrees if degree < total]
        if nvlink or not tensors:
            tensors = tensors[-1:] if total not in degrees else []
        inside += [(tensor, total // tensor) for tensor in tensors if total // tensor <= model.layers]
    for tensor, stages in sorted(inside, key=lambda pair: (pair[1], pair[0])):
        if tensor * stages <= most:
            yield tensor, stages
    for nodes in range(2, max_nodes + 1):
        if nodes * degrees[-1] <= most and nodes <= model.layers:
            yield degrees[-1], nodes


def _divides(model: ModelSpec, degree: int) -> bool:
    if model.heads % degree:
        return False
    return model.attention == "mla" or not (model.kv_heads % degree and degree % model.kv_heads)
