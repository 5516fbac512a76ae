"""What a model is asked for: requests per second and how long they are, as a distribution and not only as means.

Lengths matter beyond their mean: the KV cache is filled by long answers, and one long prompt holds up every answer
behind it. A workload is therefore a handful of buckets, each a class of requests with its own mean lengths.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from planner.lengths import Lengths

__all__ = ["INPUT_SPREAD", "OUTPUT_SPREAD", "Bucket", "Slo", "Workload"]

_INPUT_EDGES = (0.0, 0.5, 0.75, 0.9, 1.0)
_OUTPUT_EDGES = (0.0, 0.75, 1.0)
_TAIL = 0.9
INPUT_SPREAD = 1.0
OUTPUT_SPREAD = 0.85
"""Standard deviations of the logarithm of lengths where only means are known: a public one-hour trace of conversations
(Azure LLM inference trace 2023, 19,366 requests) has 0.99 for prompts and 0.86 for answers."""


@dataclass(frozen=True, kw_only=True)
class Slo:
    """Latency promised to nine of ten requests."""

    ttft_ms: float
    tpot_ms: float


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A class of requests: mean lengths in tokens, and its share of all requests (0 to 1)."""

    input_tokens: float
    output_tokens: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Load of one model.

    Attributes:
        requests_per_second: mean arrival rate of the hour that is sized for.
        buckets: classes of requests; their shares add up to 1.
        input_tokens_p90: prompt length that nine of ten requests do not exceed.
        prefix_share: share of prompt tokens found in the prefix cache (0 to 1): they need no prefill.
    """

    requests_per_second: float
    buckets: tuple[Bucket, ...]
    input_tokens_p90: float
    prefix_share: float = 0.0

    @classmethod
    def from_means(
        cls,
        *,
        requests_per_second: float,
        input_tokens: float,
        output_tokens: float,
        context_tokens: float = math.inf,
        prefix_share: float = 0.0,
    ) -> Workload:
        """Log-normal lengths around the means, cut at the longest sequence that is allowed."""
        return cls.from_lengths(
            requests_per_second=requests_per_second,
            inputs=Lengths.from_mean(input_tokens, spread=INPUT_SPREAD),
            outputs=Lengths.from_mean(output_tokens, spread=OUTPUT_SPREAD),
            context_tokens=context_tokens,
            prefix_share=prefix_share,
        )

    @classmethod
    def from_lengths(
        cls,
        *,
        requests_per_second: float,
        inputs: Lengths,
        outputs: Lengths,
        context_tokens: float = math.inf,
        prefix_share: float = 0.0,
    ) -> Workload:
        """Two distributions, taken as independent, cut at the longest sequence that is allowed."""
        buckets = tuple(
            Bucket(
                input_tokens=min(tokens, context_tokens / 2),
                output_tokens=min(answer, context_tokens / 2),
                share=share * answer_share,
            )
            for tokens, share in inputs.classes(_INPUT_EDGES)
            for answer, answer_share in outputs.classes(_OUTPUT_EDGES)
        )
        return cls(
            requests_per_second=requests_per_second,
            buckets=buckets,
            input_tokens_p90=min(inputs.quantile(_TAIL), context_tokens / 2),
            prefix_share=prefix_share,
        )

    @classmethod
    def from_requests(
        cls,
        requests: Iterable[tuple[float, float]],
        *,
        requests_per_second: float,
        context_tokens: float = math.inf,
        prefix_share: float = 0.0,
    ) -> Workload:
        """From observed (input, output) lengths; ValueError when none is left within the longest sequence allowed
        (the server refuses the others).

        Requests are sorted by prompt into the classes up to the median, the third quartile, the 90th percentile and
        above, and each of these by answer into the shorter three quarters and the longer quarter.
        """
        ordered = sorted(request for request in requests if sum(request) <= context_tokens)
        if not ordered:
            raise ValueError(f"no request with at most {context_tokens:g} tokens to take lengths from")
        buckets = []
        for by_input in _slices(ordered, _INPUT_EDGES):
            for part in _slices(sorted(by_input, key=lambda request: request[1]), _OUTPUT_EDGES):
                buckets.append(
                    Bucket(
                        input_tokens=fmean(request[0] for request in part),
                        output_tokens=max(1.0, fmean(request[1] for request in part)),
                        share=len(part) / len(ordered),
                    )
                )
        return cls(
            requests_per_second=requests_per_second,
            buckets=tuple(buckets),
            input_tokens_p90=ordered[min(len(ordered) - 1, math.ceil(_TAIL * len(ordered)) - 1)][0],
            prefix_share=prefix_share,
        )


def _slices(ordered: list[tuple[float, float]], edges: tuple[float, ...]) -> list[list[tuple[float, float]]]:
    marks = [round(edge * len(ordered)) for edge in edges]
    return [ordered[start:end] for start, end in pairwise(marks) if end > start]
