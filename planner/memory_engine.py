"""What an engine release reserves and assumes when it starts: the defaults of vLLM, by version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from planner.catalogue import Gpu
from planner.catalogue.read import rows_of

__all__ = ["CURRENT_ENGINE", "Engine", "batch_defaults", "engine_for"]

CURRENT_ENGINE = "0.21"
"""Oldest release that behaves as the newest one does; assumed when no version is stated."""

_LARGE_GPU_GIB = 70.0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How a range of vLLM releases budgets GPU memory (``planner/data/engines.csv``).

    Attributes:
        since: first release of the range.
        gpu_memory_utilization: default share of the GPU's total memory that weights, activations and cache may take.
        whole_prompts: True before chunked prefill: the profile runs the longest prompt at once.
        logit_bytes: peak bytes per sequence and vocabulary entry while sampling (logits, copies, sort indices).
        graph_gib: memory set aside for CUDA graphs inside the budget; 0 where they are taken from outside of it.
        state_blocks: cache blocks per sequence and group of recurrent layers.
        prints_per_group: the tokens it prints for a model with two kinds of layers are those of one group's share of
            the pool; later releases print what sequences of the longest length can use.
    """

    since: str
    gpu_memory_utilization: float
    whole_prompts: bool
    logit_bytes: float
    graph_gib: float
    state_blocks: int
    prints_per_group: bool


@cache
def engine_for(version: str = CURRENT_ENGINE) -> Engine:
    """The behaviour of that release, e.g. ``0.10.2`` or ``v0.19.0``; ValueError when it is no version."""
    wanted = _parts(version)
    return max(
        (engine for engine in _engines() if _parts(engine.since) <= wanted),
        key=lambda engine: _parts(engine.since),
        default=_engines()[0],
    )


def batch_defaults(gpu: Gpu, *, engine: Engine, context_tokens: int) -> tuple[int, int]:
    """Tokens per step and sequences at most, where the user sets neither.

    vLLM (``EngineArgs.get_batch_defaults``, API server): 8192 and 1024 on GPUs of 70 GiB or more except A100, otherwise
    2048 and 256. Before chunked prefill: the longest prompt, at least 2048, and 256.
    """
    if engine.whole_prompts:
        return max(context_tokens, 2048), 256
    large = gpu.memory_gib >= _LARGE_GPU_GIB and "a100" not in gpu.name
    return (8192, 1024) if large else (2048, 256)


@cache
def _engines() -> tuple[Engine, ...]:
    path = Path(__file__).parent / "data" / "engines.csv"
    return tuple(
        Engine(
            since=row["since"],
            gpu_memory_utilization=float(row["gpu_memory_utilization"]),
            whole_prompts=row["whole_prompts"] == "1",
            logit_bytes=float(row["logit_bytes"]),
            graph_gib=float(row["graph_gib"]),
            state_blocks=int(row["state_blocks"]),
            prints_per_group=row["prints_per_group"] == "1",
        )
        for row in rows_of(path)
    )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split(".")[:3])
