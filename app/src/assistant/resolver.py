"""Names of model servers: asked for seldom, and known still when the name service does not answer."""

from __future__ import annotations

import asyncio
import socket
import time

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

__all__ = ["KeptResolver"]

_FRESH_SECONDS = 30.0
"""As CoreDNS' own time to live in Kubernetes: the address of a Service stays for as long as the Service does."""
_ANSWER_SECONDS = 2.0


class KeptResolver(AbstractResolver):
    """Keeps the last answer for a name; it outlives the connections that were made with it.

    A lost packet costs a name server's client five seconds, and a busy one loses packets: requests would fail for a
    name whose address has not changed.

    Args:
        resolver: whom to ask; by default the system's.
    """

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or DefaultResolver()
        self._kept: dict[tuple[str, int, int], tuple[float, list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of ``host``; raises OSError when they were never known."""
        key = (host, port, int(family))
        when, known = self._kept.get(key, (float("-inf"), []))
        if time.monotonic() - when < _FRESH_SECONDS:
            return known
        try:
            async with asyncio.timeout(_ANSWER_SECONDS if known else None):
                found = await self._resolver.resolve(host, port, family)
        except (OSError, TimeoutError):
            if not known:
                raise
            return known
        self._kept[key] = (time.monotonic(), found)
        return found

    async def close(self) -> None:
        """Nothing is asked any more."""
        await self._resolver.close()
