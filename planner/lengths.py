"""How long requests are: a distribution of lengths in tokens, cut into classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

__all__ = ["Lengths"]

_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The logarithm of a length, as a continuous function of its standard normal score, straight between points.

    A log-normal distribution is one straight line; stated quantiles are points with straight lines between them, and
    the first and last line go on beyond them.

    Attributes:
        points: (normal score, logarithm of tokens), scores ascending; at least two.
    """

    points: tuple[tuple[float, float], ...]

    @classmethod
    def from_mean(cls, mean: float, *, spread: float) -> Lengths:
        """Log-normal; ``spread`` is the standard deviation of the logarithm."""
        median = math.log(mean) - spread**2 / 2
        return cls(points=((0.0, median), (1.0, median + spread)))

    @classmethod
    def from_variation(cls, mean: float, variation: float) -> Lengths:
        """Log-normal with that standard deviation over mean: spread^2 = ln(1 + variation^2)."""
        return cls.from_mean(mean, spread=math.sqrt(math.log1p(variation**2)))

    @classmethod
    def from_quantiles(cls, quantiles: Mapping[float, float]) -> Lengths:
        """From tokens by probability (0 to 1, exclusive), at least two that do not decrease."""
        return cls(points=tuple((_NORMAL.inv_cdf(level), math.log(n)) for level, n in sorted(quantiles.items())))

    def quantile(self, level: float) -> float:
        """Length that is not exceeded with that probability."""
        score = _NORMAL.inv_cdf(level)
        offset, slope = self._line(score)
        return math.exp(offset + slope * score)

    def classes(self, edges: tuple[float, ...]) -> list[tuple[float, float]]:
        """(mean length, share of requests) between probabilities, from 0 to 1."""
        return [(max(1.0, self._mean(left, right)), right - left) for left, right in pairwise(edges)]

    def mean(self) -> float:
        """Mean length."""
        return self._mean(0.0, 1.0)

    def _mean(self, left: float, right: float) -> float:
        """Mean between two probabilities, line by line.

        Where ln X = a + b Z, E[X; c < Z < d] = exp(a + b^2 / 2) x (Phi(d - b) - Phi(c - b)), the partial expectation of
        a log-normal variable.
        """
        low, high = _score(left), _score(right)
        total = 0.0
        for start, end in pairwise([low, *(edge for edge, _ in self.points[1:-1] if low < edge < high), high]):
            offset, slope = self._line(_between(start, end))
            total += math.exp(offset + slope**2 / 2) * (_cdf(end - slope) - _cdf(start - slope))
        return total / (right - left)

    def _line(self, score: float) -> tuple[float, float]:
        """(offset, slope) of the line over a score."""
        number = sum(score > edge for edge, _ in self.points[1:-1])
        (left, low), (right, high) = self.points[number : number + 2]
        slope = (high - low) / (right - left)
        return low - slope * left, slope


def _score(level: float) -> float:
    return -math.inf if level <= 0 else math.inf if level >= 1 else _NORMAL.inv_cdf(level)


def _cdf(score: float) -> float:
    return float(score > 0) if math.isinf(score) else _NORMAL.cdf(score)


def _between(start: float, end: float) -> float:
    if math.isinf(start) and math.isinf(end):
        return 0.0
    return end - 1.0 if math.isinf(start) else start + 1.0 if math.isinf(end) else (start + end) / 2
