"""The request rate that one replica sustains while its latency promises hold.

With N sequences in flight, N = rate x time in the system (Little's law). Running sequences are slowed by the prefills
of the others; a new request also waits for prefills in front of it, as in a queue with random arrivals and one server
(M/G/1: mean wait = rate x E[s^2] / 2(1 - u), exponential tail). Both promises are checked over a range of N, TTFT for
nine of ten requests, and the largest rate at which they hold is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.memory import MemoryEstimate
from planner.throughput_roofline import Efficiencies, Setup, decode_ms, prefill_ms
from planner.workload import Slo, Workload

__all__ = ["Sustained", "sustained"]

_LEAST_IN_FLIGHT = 0.02
_MOST_BUSY = 0.95
"""A queue this busy is unstable under the smallest error of the model."""
_POINTS, _REFINED = 40, 24
_TAIL = 10.0
"""One request in so many may miss the promise."""


@dataclass(frozen=True, kw_only=True)
class Sustained:
    """What a replica can promise.

    Attributes:
        requests_per_second: of the workload's mix; 0 when the promises cannot be kept at any rate.
        bucket_requests_per_second: of each bucket alone, in the workload's order.
        ttft_ms: at that rate, for nine of ten requests.
        tpot_ms: at that rate.
        sequences: in flight at that rate.
        binding: what keeps it from more: ``slo.ttft_ms``, ``slo.tpot_ms`` or ``kv cache``.
    """

    requests_per_second: float
    bucket_requests_per_second: tuple[float, ...]
    ttft_ms: float
    tpot_ms: float
    sequences: float
    binding: str


@dataclass(frozen=True, kw_only=True)
class _Loads:
    """Scenarios as columns: the mix, then each bucket alone. Every field is an array over scenarios."""

    output_tokens: np.ndarray
    context_tokens: np.ndarray
    prefill: np.ndarray
    prefill_squared: np.ndarray
    tail_prefill: np.ndarray
    ttft_limit: np.ndarray
    capacity: np.ndarray


def sustained(
    setup: Setup, efficiencies: Efficiencies, workload: Workload, slo: Slo, *, memory: MemoryEstimate
) -> Sustained:
    """The highest rates of one replica; ``memory`` says how many sequences its cache holds."""
    loads = _loads(setup, efficiencies, workload, slo, memory)
    low = np.full_like(loads.capacity, _LEAST_IN_FLIGHT)
    high = np.maximum(loads.capacity, low)
    # First a coarse range from nearly idle to a full cache, then a fine one between the last good and the first bad.
    for points in (_POINTS, _REFINED):
        grid = np.geomspace(low, high, points)
        _, ttft, tpot = _at(setup, efficiencies, loads, grid)
        good = (ttft <= loads.ttft_limit) & (tpot <= slo.tpot_ms)
        last = np.where(good.all(axis=0), points - 1, np.argmin(good, axis=0) - 1)
        column = np.arange(len(low))
        low = grid[np.maximum(last, 0), column]
        high = grid[np.minimum(last + 1, points - 1), column]
    rate, ttft, tpot = _at(setup, efficiencies, loads, low)
    kept = (ttft <= loads.ttft_limit) & (tpot <= slo.tpot_ms) & (loads.capacity >= 1)
    rates = np.where(kept, rate, 0.0)
    full = kept[0] and low[0] >= loads.capacity[0] * 0.999
    binding = "kv cache" if full else _binding(setup, efficiencies, loads, slo, low=low, high=high)
    return Sustained(
        requests_per_second=float(rates[0]),
        bucket_requests_per_second=tuple(float(value) for value in rates[1:]),
        ttft_ms=float(ttft[0]),
        tpot_ms=float(tpot[0]),
        sequences=float(low[0]),
        binding=binding,
    )


def _loads(setup: Setup, efficiencies: Efficiencies, workload: Workload, slo: Slo, memory: MemoryEstimate) -> _Loads:
    inputs = np.array([bucket.input_tokens for bucket in workload.buckets])
    outputs = np.array([bucket.output_tokens for bucket in workload.buckets])
    share = np.array([bucket.share for bucket in workload.buckets])
    computed = 1 - workload.prefix_share
    prefill = prefill_ms(setup, efficiencies, tokens=np.maximum(1, inputs * computed)) / setup.pipeline_parallel
    tail = prefill_ms(setup, efficiencies, tokens=max(1, workload.input_tokens_p90 * computed))
    # A request stays in flight for as long as it is answered, so long answers weigh more in what is in flight.
    weight = share * outputs / (share @ outputs)
    held = np.array([memory.sequences_of(int(total)) for total in inputs + outputs], dtype=float)
    alone = np.minimum(held, memory.sequence_limit)
    mixed = 1 / (weight @ (1 / np.maximum(alone, 1e-9)))
    own_tail = prefill_ms(setup, efficiencies, tokens=np.maximum(1, inputs * computed))
    # Prompts beyond the 90th percentile are among the requests that may miss the promise.
    limit = np.where(inputs <= workload.input_tokens_p90, slo.ttft_ms, np.inf)
    return _Loads(
        output_tokens=np.concatenate([[share @ outputs], outputs]),
        context_tokens=np.concatenate([[weight @ (inputs + outputs / 2)], inputs + outputs / 2]),
        prefill=np.concatenate([[share @ prefill], prefill]),
        prefill_squared=np.concatenate([[share @ prefill**2], prefill**2]),
        tail_prefill=np.concatenate([[tail], own_tail]),
        ttft_limit=np.concatenate([[slo.ttft_ms], limit]),
        capacity=np.concatenate([[mixed], alone]),
    )


def _at(
    setup: Setup, efficiencies: Efficiencies, loads: _Loads, in_flight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rate, TTFT of nine of ten and TPOT with that many requests in flight (last axis: scenarios)."""
    step = decode_ms(
        setup,
        efficiencies,
        sequences=np.maximum(1.0, in_flight / setup.pipeline_parallel),
        context_tokens=loads.context_tokens,
    )
    others = np.maximum(0.0, in_flight - 1) * loads.prefill
    tpot = step + efficiencies.interference * others / loads.output_tokens
    first = efficiencies.prefill_step_ms + step + loads.prefill
    rate = in_flight / (loads.output_tokens * tpot + first) * 1e3
    busy = rate * loads.prefill / 1e3
    free = np.maximum(1 - busy, 1e-6)
    mean_wait = rate / 1e3 * loads.prefill_squared / (2 * free)
    wait = np.where(busy * _TAIL > 1, mean_wait / np.maximum(busy, 1e-9) * np.log(np.maximum(1, busy * _TAIL)), 0.0)
    wait = np.where(busy > _MOST_BUSY, np.inf, wait)
    return rate, efficiencies.prefill_step_ms + step + loads.tail_prefill + wait, tpot


def _binding(
    setup: Setup, efficiencies: Efficiencies, loads: _Loads, slo: Slo, *, low: np.ndarray, high: np.ndarray
) -> str:
    """Which promise breaks first when more is in flight."""
    _, ttft, tpot = _at(setup, efficiencies, loads, np.maximum(high, low * 1.001))
    return "slo.tpot_ms" if tpot[0] / slo.tpot_ms >= ttft[0] / slo.ttft_ms else "slo.ttft_ms"
