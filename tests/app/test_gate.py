"""Back pressure: a bounded number works, a bounded number waits, the rest is refused."""

from __future__ import annotations

import asyncio

import pytest

from assistant.errors import ApiError
from assistant.gate import Gate


def test_so_many_work_so_many_wait_and_the_next_is_refused() -> None:
    async def scenario() -> None:
        gate = Gate(concurrent=2, queued=1, wait_seconds=30)
        leave = asyncio.Event()
        order: list[int] = []

        async def visit(number: int) -> None:
            async with gate:
                order.append(number)
                await leave.wait()

        visits = [asyncio.create_task(visit(number)) for number in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (gate.active, gate.waiting, order) == (2, 1, [0, 1])
        with pytest.raises(ApiError) as refused:
            await visit(3)
        assert refused.value.status == 429
        assert refused.value.headers["retry-after"] == "1"
        leave.set()
        await asyncio.gather(*visits)
        assert (gate.active, gate.waiting, order) == (0, 0, [0, 1, 2])

    asyncio.run(scenario())


def test_who_waits_too_long_is_sent_away_and_leaves_no_trace() -> None:
    async def scenario() -> None:
        gate = Gate(concurrent=1, queued=5, wait_seconds=0.02)
        async with gate:
            with pytest.raises(ApiError) as refused:
                async with gate:
                    raise AssertionError("there was a place")
            assert refused.value.status == 503
        assert (gate.active, gate.waiting) == (0, 0)
        async with gate:
            assert gate.active == 1

    asyncio.run(scenario())


def test_who_gives_up_waiting_frees_the_queue() -> None:
    async def scenario() -> None:
        gate = Gate(concurrent=1, queued=1, wait_seconds=30)
        async with gate:
            waiter = asyncio.create_task(gate.__aenter__())
            await asyncio.sleep(0)
            assert gate.waiting == 1
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
            assert gate.waiting == 0
        async with gate:
            assert gate.active == 1

    asyncio.run(scenario())
