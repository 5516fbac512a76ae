"""The verdict on a canary: limits, too few requests, and laws that hold for any counts."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmos.canary.figures import Figures, added, figures_of
from llmos.canary.verdict import verdict_on
from planner.plan import CanaryPlan

PLAN = CanaryPlan(
    replicas=1, watch_seconds=120, max_error_rate=0.01, max_ttft_ms=None, min_requests=100, proceed=False,
    requests_metric="assistant_requests_total", ttft_metric="assistant_time_to_first_token_seconds",
)  # fmt: skip
WITH_TTFT = dataclasses.replace(PLAN, max_ttft_ms=500)
BOUNDS = (0.1, 0.5, 1.0, math.inf)
PAGE = """\
# HELP assistant_requests_total Requests by path and status; 499: the client went first.
# TYPE assistant_requests_total counter
assistant_requests_total{path="/v1/chat/completions",status="200"} 90.0
assistant_requests_total{path="/v1/chat/completions",status="429"} 5.0
assistant_requests_total{path="/v1/chat/completions",status="502"} 4.0
assistant_requests_total{path="/v1/models",status="500"} 1.0
# HELP assistant_time_to_first_token_seconds Streams
# TYPE assistant_time_to_first_token_seconds histogram
assistant_time_to_first_token_seconds_bucket{le="0.1"} 10.0
assistant_time_to_first_token_seconds_bucket{le="0.5"} 30.0
assistant_time_to_first_token_seconds_bucket{le="1.0"} 30.0
assistant_time_to_first_token_seconds_bucket{le="+Inf"} 31.0
assistant_time_to_first_token_seconds_count 31.0
assistant_time_to_first_token_seconds_sum 9.0
"""

counts = st.integers(min_value=0, max_value=100_000)
plans = st.builds(
    dataclasses.replace, st.just(WITH_TTFT), max_error_rate=st.floats(0, 0.99), max_ttft_ms=st.floats(1, 5000),
    min_requests=st.integers(1, 1000), proceed=st.booleans(),
)  # fmt: skip


@st.composite
def figures(draw: st.DrawFn) -> Figures:
    requests = draw(counts)
    ttft = {bound: draw(st.integers(0, 1000)) for bound in BOUNDS}
    return Figures(requests=requests, errors=draw(st.integers(0, requests)), ttft=ttft)


def test_what_a_page_says() -> None:
    found = figures_of(PAGE, PLAN)
    assert (found.requests, found.errors, found.streams) == (100, 5, 31)
    assert found.ttft == {0.1: 10, 0.5: 20, 1.0: 0, math.inf: 1}
    assert found.ttft_ms() == pytest.approx(1000 * (0.1 + 0.4 * (0.95 * 31 - 10) / 20))
    other = dataclasses.replace(PLAN, requests_metric="http_requests_total", ttft_metric="nothing")
    coded = 'http_requests_total{code="5xx"} 2\nhttp_requests_total{code="2xx"} 8\n'
    assert figures_of(coded, other) == Figures(requests=10, errors=2)
    with pytest.raises(ValueError):
        figures_of("<html>", PLAN)


def test_counts_are_those_since_the_watch_began() -> None:
    found = figures_of(PAGE, PLAN)
    assert found.since(found) == Figures(ttft=dict.fromkeys(BOUNDS, 0))
    assert added([found, found]).since(found) == found


def test_a_limit_that_is_exceeded_stops_at_once_and_says_by_how_much() -> None:
    found = verdict_on(Figures(requests=240, errors=29), PLAN, over=False)
    assert (found.says, found.why) == ("stop", "error rate 0.121 > 0.01 over 240 requests")
    slow = Figures(requests=240, ttft={0.5: 0, 1.0: 120})
    found = verdict_on(slow, WITH_TTFT, over=False)
    assert (found.says, found.why) == ("stop", "TTFT (95 of 100) 975 ms > 500 ms over 120 streams")
    endless = verdict_on(Figures(requests=240, ttft={1.0: 10, math.inf: 200}), WITH_TTFT, over=False)
    assert "above the last bucket > 500 ms" in endless.why
    assert verdict_on(slow, PLAN, over=True).says == "go", "TTFT is not watched unless a limit is set"


def test_a_good_version_is_watched_to_the_end() -> None:
    good = Figures(requests=240, errors=2, ttft={0.1: 120})
    assert verdict_on(good, WITH_TTFT, over=False).says == "watch"
    found = verdict_on(good, WITH_TTFT, over=True)
    assert found.says == "go" and "error rate 0.00833" in found.why and "120 streams" in found.why


def test_too_few_requests_are_no_proof_unless_the_file_says_so() -> None:
    few = Figures(requests=99)
    assert verdict_on(few, PLAN, over=False).says == "watch"
    found = verdict_on(few, PLAN, over=True)
    assert found.says == "stop" and found.few and "99 requests in 120 s are too few" in found.why
    lenient = dataclasses.replace(PLAN, proceed=True)
    assert verdict_on(few, lenient, over=True).says == "go"
    assert verdict_on(Figures(), lenient, over=True).says == "go"
    assert verdict_on(Figures(requests=9, errors=1), lenient, over=True).says == "stop", "errors are not silence"
    no_streams = verdict_on(Figures(requests=500), WITH_TTFT, over=True)
    assert no_streams.few and "0 streams" in no_streams.why


@given(seen=figures(), plan=plans, over=st.booleans(), more=counts)
def test_more_errors_never_turn_a_stop_into_a_go(seen: Figures, plan: CanaryPlan, over: bool, more: int) -> None:
    worse = dataclasses.replace(seen, errors=min(seen.requests, seen.errors + more))
    if verdict_on(seen, plan, over=over).says == "stop":
        assert verdict_on(worse, plan, over=over).says == "stop"


@given(seen=figures(), plan=plans, over=st.booleans(), moved=counts, start=st.integers(0, 2), end=st.integers(1, 3))
def test_slower_streams_never_turn_a_stop_into_a_go(
    seen: Figures, plan: CanaryPlan, over: bool, moved: int, start: int, end: int
) -> None:
    ttft = dict(seen.ttft)
    if start < end:
        moved = min(moved, ttft[BOUNDS[start]])
        ttft[BOUNDS[start]] -= moved
        ttft[BOUNDS[end]] += moved
    assert dataclasses.replace(seen, ttft=ttft).ttft_ms() >= seen.ttft_ms() - 1e-6
    if verdict_on(seen, plan, over=over).says == "stop":
        assert verdict_on(dataclasses.replace(seen, ttft=ttft), plan, over=over).says == "stop"


@given(seen=figures(), plan=plans)
def test_at_the_end_there_is_a_verdict_and_a_go_keeps_the_limits(seen: Figures, plan: CanaryPlan) -> None:
    found = verdict_on(seen, plan, over=True)
    assert found.says in ("stop", "go") and found.why
    if found.says == "go":
        assert seen.error_rate <= plan.max_error_rate
        assert seen.ttft_ms() <= (plan.max_ttft_ms or math.inf)
