"""Names are asked for seldom, and an address that was known is used when the name service is away."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from assistant import resolver
from assistant.resolver import KeptResolver


class _Names(AbstractResolver):
    """A name service that a test answers for."""

    def __init__(self) -> None:
        self.asked, self.address = 0, "10.0.0.1"

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        if self.address == "silent":
            await asyncio.Event().wait()
        if not self.address:
            raise OSError(f"{host}: no answer")
        return [ResolveResult(hostname=host, host=self.address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


def test_an_answer_is_kept_renewed_and_outlives_the_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        names = _Names()
        kept = KeptResolver(names)

        async def address() -> str:
            return (await kept.resolve("tiny", 8080))[0]["host"]

        assert [await address(), await address()] == ["10.0.0.1"] * 2 and names.asked == 1
        monkeypatch.setattr(resolver, "_FRESH_SECONDS", 0.0)
        monkeypatch.setattr(resolver, "_ANSWER_SECONDS", 0.05)
        names.address = "10.0.0.2"
        assert await address() == "10.0.0.2"
        for away in ("", "silent"):
            names.address = away
            assert await address() == "10.0.0.2"
        names.address = ""
        with pytest.raises(OSError, match="no answer"):
            await kept.resolve("unknown")
        await kept.close()

    asyncio.run(scenario())
