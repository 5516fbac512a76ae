"""Length distributions: what is stated comes out again, however it was stated."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.lengths import Lengths
from planner.workload import Workload

EDGES = (0.0, 0.5, 0.75, 0.9, 1.0)
means = st.floats(2, 20_000)


@given(means, st.floats(0.05, 3))
def test_classes_keep_the_stated_mean(mean: float, variation: float) -> None:
    lengths = Lengths.from_variation(mean, variation)
    assert lengths.mean() == pytest.approx(mean, rel=1e-9)
    if min(tokens for tokens, _ in lengths.classes(EDGES)) > 1:
        assert sum(tokens * share for tokens, share in lengths.classes(EDGES)) == pytest.approx(mean, rel=1e-9)


@given(means, st.floats(1.01, 6), st.floats(1, 6))
def test_stated_quantiles_come_out(median: float, tail: float, far: float) -> None:
    stated = {0.5: median, 0.9: median * tail, 0.99: median * tail * far}
    lengths = Lengths.from_quantiles(stated)
    assert {level: lengths.quantile(level) for level in stated} == pytest.approx(stated, rel=1e-9)
    classes = [tokens for tokens, _ in lengths.classes(EDGES)]
    assert classes == sorted(classes)
    assert classes[0] <= median * (1 + 1e-9) and classes[3] >= median * tail * (1 - 1e-9)


def test_class_means_agree_with_a_sample() -> None:
    lengths = Lengths.from_quantiles({0.5: 400, 0.9: 2000, 0.99: 3000})
    draw = random.Random(7)
    sample = sorted(lengths.quantile(min(1 - 1e-12, max(1e-12, draw.random()))) for _ in range(200_000))
    for (left, right), (tokens, share) in zip(pairwise(EDGES), lengths.classes(EDGES), strict=True):
        part = sample[int(left * len(sample)) : int(right * len(sample))]
        assert share == pytest.approx(right - left)
        assert tokens == pytest.approx(math.fsum(part) / len(part), rel=0.02)


def test_two_quantiles_of_a_log_normal_give_that_log_normal() -> None:
    whole = Lengths.from_mean(800, spread=1.0)
    again = Lengths.from_quantiles({level: whole.quantile(level) for level in (0.5, 0.99)})
    assert again.mean() == pytest.approx(800)
    assert again.quantile(0.75) == pytest.approx(whole.quantile(0.75))


def test_a_workload_from_means_is_the_one_with_the_spreads_of_the_public_trace() -> None:
    plain = Workload.from_means(requests_per_second=2, input_tokens=800, output_tokens=200, context_tokens=8192)
    stated = Workload.from_lengths(
        requests_per_second=2,
        inputs=Lengths.from_mean(800, spread=1.0),
        outputs=Lengths.from_mean(200, spread=0.85),
        context_tokens=8192,
    )
    assert plain == stated
