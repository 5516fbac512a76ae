"""Instances of the allocation problem: one model, traffic in buckets of request sizes, some GPU types."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.allocation import Option, Pool, Problem, Workload

__all__ = ["Instance", "make_instance"]

# USD/h, memory bandwidth in GB/s, dense 16-bit TFLOPS, memory in GiB: rounded data-sheet figures and the order of
# magnitude of on-demand prices. They only have to make realistic instances; no result of the project depends on them.
_GPUS = {
    "T4": (0.53, 320, 65, 16), "L4": (0.80, 300, 121, 24), "A10G": (1.01, 600, 125, 24), "L40S": (1.86, 864, 362, 48),
    "RTX6000": (2.20, 960, 380, 48), "V100": (3.06, 900, 125, 16), "A100-40": (2.74, 1555, 312, 40),
    "A100-80": (3.67, 2039, 312, 80), "H100": (6.88, 3350, 989, 80), "H200": (7.91, 4800, 989, 141),
    "B200": (14.24, 8000, 2250, 180), "B300": (17.80, 8000, 2500, 288),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Instance:
    """Prices by GPU type, highest rates (types, buckets), demand by bucket in requests per second."""

    prices: NDArray[np.float64]
    rates: NDArray[np.float64]
    demand: NDArray[np.float64]

    def problem(self) -> Problem:
        """The instance in our terms."""
        pools, options = [], []
        for index, (price, rates) in enumerate(zip(self.prices, self.rates, strict=True)):
            kind = f"gpu-{index}"
            pools.append(Pool(name=kind, vcpu=8, memory_gib=64, gpus=1, gpu_type=kind, usd_per_hour=float(price)))
            sustained = tuple(rates.tolist())
            options.append(
                Option(name=kind, gpu_type=kind, gpus=1, vcpu=4, memory_gib=32, requests_per_second=sustained)
            )
        model = Workload(name="model", demand=tuple(self.demand.tolist()), options=tuple(options))
        return Problem(pools=tuple(pools), workloads=(model,))


def make_instance(rng: np.random.Generator, *, buckets: int, types: int, gpus: float) -> Instance:
    """A random model and traffic; rates by a roofline with noise, demand scaled so that some `gpus` GPUs carry it."""
    side = math.isqrt(buckets - 1) + 1
    grid = np.meshgrid(np.geomspace(32, 16_000, side), np.geomspace(8, 2_000, side), indexing="ij")
    inputs, outputs = (axis.ravel()[:buckets] for axis in grid)
    chosen = np.sort(rng.choice(len(_GPUS), types, replace=False))
    if not any(list(_GPUS.values())[k][3] >= 80 for k in chosen):
        # Some type must hold the longest requests, or there is no plan at all.
        chosen[-1] = len(_GPUS) - 1
    price, bandwidth, tflops, memory = (
        np.array([list(_GPUS.values())[k][i] for k in chosen], dtype=float) for i in range(4)
    )
    weights = rng.uniform(6e9, 14e9)
    kv_bytes = 1.3e5
    kv_tokens = np.maximum(memory * 0.9 * 2**30 - weights, 0) / kv_bytes
    batch = np.clip(kv_tokens[:, None] / (inputs + outputs), 0, 256)
    prefill = 2 * weights * inputs / (tflops[:, None] * 0.5e12)
    step = (weights + batch * (inputs + outputs / 2) * kv_bytes) / (bandwidth[:, None] * 0.7e9)
    rates = np.where(batch >= 1, 1 / (prefill + step * outputs / np.maximum(batch, 1)), 0.0)
    rates *= rng.uniform(0.9, 1.1, rates.shape)
    price *= rng.uniform(0.8, 1.25, types)
    weight = rng.dirichlet(np.full(buckets, 0.3))
    with np.errstate(divide="ignore"):
        cost = price[:, None] * weight / rates
    best = cost.argmin(axis=0)
    load = float((weight / rates[best, np.arange(buckets)]).sum())
    return Instance(prices=np.round(price, 4), rates=rates, demand=weight * gpus / load)
