"""How the KV cache is laid out in blocks, and how many of them a sequence needs, as vLLM's cache manager does it.

Source: ``vllm/v1/core/kv_cache_utils.py`` and ``vllm/v1/kv_cache_interface.py``. All layers of a model with full
attention share one block table. A model with two kinds of layers is cut into groups of equally many layers; a block
is one page in every layer of a group, all groups draw from one pool, and the attention page is padded until it is as
large as a recurrent layer's state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.catalogue import ModelSpec
from planner.memory_engine import Engine

__all__ = ["KvLayout", "kv_bytes_per_token", "kv_layout"]

_BLOCK_TOKENS = 16
_PADDING_RATIO = 1.5
"""Up to this ratio of layer counts vLLM pads the smaller kind instead of cutting the larger into groups."""


@dataclass(frozen=True, kw_only=True)
class KvLayout:
    """Cache of one replica, seen from one GPU.

    Attributes:
        block_tokens: tokens of one attention page.
        block_bytes: bytes of one block over the layers of a group.
        full_groups: groups with full attention.
        other_groups: groups with a sliding window or a recurrent state.
        other_blocks: blocks per sequence in each of those at most, while its prompt is processed.
        other_resident: the same while it is answered: what has left the window is given back.
    """

    block_tokens: int
    block_bytes: float
    full_groups: int
    other_groups: int
    other_blocks: int
    other_resident: int

    def blocks_per_sequence(self, tokens: int, *, resident: bool = False) -> int:
        """Blocks that a sequence of that many tokens occupies at most, or (``resident``) once it is being answered."""
        growing = math.ceil(tokens / self.block_tokens)
        other = self.other_resident if resident else self.other_blocks
        return self.full_groups * growing + self.other_groups * min(other, growing + 1)


def kv_bytes_per_token(model: ModelSpec, *, kv_bytes: float = 2.0, tensor_parallel: int = 1) -> float:
    """Bytes that one token adds to one full-attention layer on one GPU.

    Keys and values of the heads a rank holds, at least one whole head; MLA keeps one latent vector, on every rank
    (DeepSeek-V2, arXiv 2405.04434, section 2.1).
    """
    if model.attention == "mla":
        return (model.kv_lora_rank + model.rope_head_dim) * kv_bytes
    return 2 * max(1.0, model.kv_heads / tensor_parallel) * model.head_dim * kv_bytes


def kv_layout(
    model: ModelSpec,
    *,
    engine: Engine,
    batched_tokens: int,
    kv_bytes: float = 2.0,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
) -> KvLayout:
    """Layout for one model and parallelism; ``batched_tokens`` is the most that one step may add to a sequence."""
    token = kv_bytes_per_token(model, kv_bytes=kv_bytes, tensor_parallel=tensor_parallel)
    full = math.ceil(model.full_layers / pipeline_parallel)
    other = math.ceil(_other_layers(model) / pipeline_parallel)
    if not other:
        return KvLayout(
            block_tokens=_BLOCK_TOKENS,
            block_bytes=_BLOCK_TOKENS * token * full,
            full_groups=1,
            other_groups=0,
            other_blocks=0,
            other_resident=0,
        )
    size = _group_size(full, other)
    if model.attention == "hybrid":
        state = model.state_kib * 1024 / tensor_parallel
        block_tokens = max(1, math.ceil(state / token / _BLOCK_TOKENS)) * _BLOCK_TOKENS
        other_blocks = other_resident = engine.state_blocks
    else:
        block_tokens = _BLOCK_TOKENS
        other_blocks = math.ceil((model.window_tokens - 1 + batched_tokens) / _BLOCK_TOKENS) + 1
        other_resident = math.ceil(model.window_tokens / _BLOCK_TOKENS) + 1
    return KvLayout(
        block_tokens=block_tokens,
        block_bytes=block_tokens * token * size,
        full_groups=math.ceil(full / size),
        other_groups=math.ceil(other / size),
        other_blocks=other_blocks,
        other_resident=other_resident,
    )


def _other_layers(model: ModelSpec) -> int:
    if model.attention == "hybrid":
        return model.state_layers
    return model.layers - model.full_layers if model.attention == "sliding" else 0


def _group_size(full: int, other: int) -> int:
    small, large = sorted((max(1, full), other))
    return large if large < _PADDING_RATIO * small else small
