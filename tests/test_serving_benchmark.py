"""The benchmark of the application beside its model server, in small."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from benchmarks import serving
from benchmarks._standin import MODEL, Timing, standin, timed_stream


def _side(*, ttft: float, tpot: float = 0.02, total: float = 1.0) -> serving.Side:
    timing = Timing(ttft_seconds=ttft, tpot_seconds=tpot, total_seconds=total, tokens=10)
    return serving.Side(clients=4, timings=[timing] * 5)


def test_it_prints_what_both_ways_take_and_what_caches_save(capsys: pytest.CaptureFixture[str]) -> None:
    code = serving.main(["--rounds", "2", "--clients", "3", "--requests", "2", "--tokens", "5", "--token-ms", "10"])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == (0 if summary["reached"] else 1)
    assert summary["requests"] == 2 * 3 * 2
    for side in (summary["direct"], summary["application"]):
        assert side["ttft_ms_median"] >= 10 and side["ttft_ms_p95"] >= side["ttft_ms_median"]
        assert side["tpot_ms_median"] == pytest.approx(10, rel=0.5)
        assert 0 < side["requests_per_second"] <= 3 / 0.05
    assert summary["response_cache"]["miss_ms"] > 50 > summary["response_cache"]["hit_ms"]
    assert summary["prefix_cache"]["seen_tokens"] > 2900, "llama.cpp reuses the shared beginning"
    assert summary["prefix_cache"]["seen_ms"] < summary["prefix_cache"]["new_ms"]


@pytest.mark.parametrize(
    ("through", "reached"),
    [
        (_side(ttft=0.105), True),
        (_side(ttft=0.1051), False),
        (_side(ttft=0.1, tpot=0.026), False),
        (_side(ttft=0.1, total=1.04), True),
        (_side(ttft=0.1, total=1.06), False),
    ],
)
def test_the_bar_is_5_ms_at_the_median_and_5_percent_of_throughput(through: serving.Side, reached: bool) -> None:
    assert serving.verdict(_side(ttft=0.1), through)["reached"] is reached


def test_the_stand_in_takes_its_time_for_every_token_and_a_broken_stream_is_no_measurement() -> None:
    async def scenario() -> Timing:
        async with standin(token_seconds=0.01) as url, aiohttp.ClientSession() as session:
            body = {"model": MODEL, "messages": [], "max_tokens": 20}
            timing = await timed_stream(session, url, body)
            with pytest.raises(aiohttp.ClientError):
                await timed_stream(session, f"{url}/nothing", body)
            return timing

    timing = asyncio.run(scenario())
    assert timing.tokens == 20 and timing.total_seconds >= 0.2
    assert timing.ttft_seconds >= 0.01 and timing.tpot_seconds >= 0.0095
