"""The three kinds of fact that sizing stands on: GPUs, instance types, models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Gpu", "InstanceType", "ModelSpec", "Precision"]

Precision = Literal["bf16", "fp8", "int4", "mxfp4", "nvfp4"]


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One kind of GPU.

    Attributes:
        name: key in the catalogue, e.g. ``l4``.
        product: the maker's name.
        nominal_gib: what the label says.
        memory_gib: what CUDA reports as total memory; below nominal by ECC, page tables and firmware.
        bandwidth_gb_per_second: peak of its own memory, in 10^9 bytes/s.
        half_tflops: dense fp16 or bf16 tensor peak, in 10^12 operations/s.
        fp8_tflops: dense fp8 peak; 0 when the tensor cores have no fp8.
        fp4_tflops: dense fp4 peak; 0 when they have no fp4.
        interconnect: how GPUs of one node talk.
        interconnect_gb_per_second: per GPU and direction.
        compute_capability: CUDA's version of the architecture, e.g. (8, 9).
        source: where the figures come from.
        date: day they were read, ISO format.
    """

    name: str
    product: str
    nominal_gib: float
    memory_gib: float
    bandwidth_gb_per_second: float
    half_tflops: float
    fp8_tflops: float = 0.0
    fp4_tflops: float = 0.0
    interconnect: Literal["nvlink", "pcie"] = "pcie"
    interconnect_gb_per_second: float
    compute_capability: tuple[int, int]
    source: str
    date: str

    def tflops(self, precision: Precision) -> float:
        """Peak of the tensor cores for weights of that precision; what they lack is computed in half precision."""
        if precision in ("nvfp4", "mxfp4") and self.fp4_tflops:
            return self.fp4_tflops
        if precision == "fp8" and self.fp8_tflops:
            return self.fp8_tflops
        return self.half_tflops


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """One machine that a cloud rents.

    Attributes:
        name: the cloud's name, e.g. ``g6.xlarge``.
        cloud: ``aws``.
        region: of the price.
        vcpu: virtual cores.
        memory_gib: main memory.
        architecture: of its CPU.
        gpu: key of the catalogue's GPUs; ``None`` for CPU machines and unsupported accelerators.
        gpus: how many; 0 without.
        usd_per_hour: on demand, Linux; ``None`` when no price is published.
        spot_usd_per_hour: as spot, Linux; ``None`` by default, because spot prices move by the hour: a user states the
            one that plans should count on.
        price_date: ISO day the price was read; empty without a price.
        spot_price_date: the same of the spot price.
        price_source: where the price was read; empty without a price.
        source: where the other figures were read.
        supported: False when this program cannot serve models on it.
        unsupported_reason: a sentence; empty when supported.
    """

    name: str
    cloud: str = "aws"
    region: str = "us-east-1"
    vcpu: int
    memory_gib: float
    architecture: Literal["amd64", "arm64"] = "amd64"
    gpu: str | None = None
    gpus: int = 0
    usd_per_hour: float | None = None
    spot_usd_per_hour: float | None = None
    price_date: str = ""
    spot_price_date: str = ""
    price_source: str = ""
    source: str = ""
    unsupported_reason: str = ""

    @property
    def supported(self) -> bool:
        """Whether this program can use it."""
        return not self.unsupported_reason


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Architecture of one model, in the terms of its ``config.json``; counts of what a model lacks are 0.

    Attributes:
        id: ``organisation/name`` on the Hugging Face hub.
        parameters_b: all parameters, in 10^9.
        active_b: parameters that one token uses, in 10^9; all of them in a dense model.
        layers: transformer blocks of every kind.
        hidden: width of the residual stream.
        intermediate: width of a dense MLP; 0 when every MLP is a mixture of experts.
        heads: query heads.
        kv_heads: key and value heads.
        head_dim: width of a head.
        attention: ``full``; ``sliding`` (some layers look back ``window_tokens`` only); ``mla`` (one latent vector per
            token instead of keys and values); ``hybrid`` (most layers keep a state of fixed size).
        full_layers: layers with full attention, and with it a KV cache that grows with the context.
        window_tokens: look-back of the other attention layers (``sliding``).
        kv_lora_rank: width of the latent vector (``mla``).
        rope_head_dim: its uncompressed positional part (``mla``).
        state_layers: layers with a recurrent state (``hybrid``).
        state_kib: state of one sequence in one such layer, convolution included.
        experts: routed experts per mixture layer.
        experts_per_token: of them used by one token.
        expert_intermediate: width of one expert's MLP.
        shared_experts: experts that every token uses.
        dense_layers: layers with a dense MLP in a mixture-of-experts model.
        vocabulary: tokens.
        tied_embeddings: 1 when input and output share one embedding matrix.
        max_context_tokens: longest context the model was made for.
        precision: of the published weights.
        weight_gib: size of the published weights once each (no duplicates in other formats).
        source: where the figures come from.
        date: day they were read, ISO format.
    """

    id: str
    parameters_b: float
    active_b: float
    layers: int
    hidden: int
    intermediate: int = 0
    heads: int
    kv_heads: int
    head_dim: int
    attention: Literal["full", "sliding", "mla", "hybrid"] = "full"
    full_layers: int
    window_tokens: int = 0
    kv_lora_rank: int = 0
    rope_head_dim: int = 0
    state_layers: int = 0
    state_kib: float = 0.0
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    shared_experts: int = 0
    dense_layers: int = 0
    vocabulary: int
    tied_embeddings: int = 0
    max_context_tokens: int
    precision: Precision = "bf16"
    weight_gib: float
    source: str
    date: str
