"""Latency and request rate of one replica, from the roofline of its steps.

``closed_loop`` is how engines are benchmarked: a fixed number of users, each sending the next request when the last is
answered. ``planner.throughput_slo`` turns it into the rate of random arrivals at which latency promises hold.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from planner.throughput_roofline import Efficiencies, Setup, decode_ms, prefill_ms

__all__ = ["Certainty", "Latency", "certainty", "closed_loop", "efficiencies_of"]

Certainty = Literal["measured family", "roofline only"]

_DATA = Path(__file__).parent / "data" / "efficiencies.toml"
_CPU_DATA = _DATA.with_name("efficiencies_cpu.toml")


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Mean times of one request.

    Attributes:
        ttft_ms: time to first token.
        tpot_ms: time per output token after the first.
    """

    ttft_ms: float
    tpot_ms: float


@cache
def efficiencies_of(framework: str = "vllm") -> Efficiencies:
    """Constants of that engine: ``vllm``, ``sglang`` or ``trtllm``, calibrated, or ``llama.cpp`` on CPUs, assumed."""
    if framework == "llama.cpp":
        return Efficiencies(**tomllib.loads(_CPU_DATA.read_text(encoding="utf-8")))
    constants = _constants()
    return Efficiencies(**constants["shared"], **constants["engine"][framework])


def certainty(setup: Setup, *, framework: str = "vllm") -> Certainty:
    """Whether this engine was measured with this kind of model on this GPU, or only the roofline speaks for it.

    Kinds: dense or mixture of experts. Latent and recurrent attention were measured nowhere, and no pipeline stages.
    """
    model = setup.model
    kind = "moe" if model.experts else "dense"
    measured = _constants()["calibration"]["measured"]
    known = model.attention in ("full", "sliding") and f"{framework} {setup.gpu.name} {kind}" in measured
    return "measured family" if known and setup.pipeline_parallel == 1 else "roofline only"


@cache
def _constants() -> dict[str, Any]:
    return tomllib.loads(_DATA.read_text(encoding="utf-8"))


def closed_loop(
    setup: Setup,
    efficiencies: Efficiencies,
    *,
    users: float,
    input_tokens: float,
    output_tokens: float,
    capacity: float = float("inf"),
) -> Latency:
    """Latency with a fixed number of users per data-parallel group.

    Args:
        users: requests in flight.
        input_tokens: of every prompt.
        output_tokens: of every answer.
        capacity: sequences that the KV cache holds; users beyond it wait until one of them is answered.
    """
    running = max(1.0, min(users, capacity))
    prefill = prefill_ms(setup, efficiencies, tokens=input_tokens)
    step = decode_ms(
        setup,
        efficiencies,
        sequences=running / setup.pipeline_parallel,
        context_tokens=input_tokens + output_tokens / 2,
    )
    others = (running - 1) * prefill / setup.pipeline_parallel
    tpot = step + efficiencies.interference * others / output_tokens
    waiting = (users / running - 1) * output_tokens * tpot
    ttft = efficiencies.prefill_step_ms + step + prefill + efficiencies.queueing * others + waiting
    return Latency(ttft_ms=float(ttft), tpot_ms=float(tpot))
