"""A response cache bounded in entries, bytes and age."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["ENTRY_OVERHEAD_BYTES", "ResponseCache"]

ENTRY_OVERHEAD_BYTES = 512
"""What one entry costs beside its body: key, tuple and dictionary slot, rounded up."""


class ResponseCache:
    """Least recently used goes first; nothing outlives ``ttl_seconds``.

    Args:
        entries: most entries; 0 switches the cache off.
        size_bytes: most bytes of all bodies and ``ENTRY_OVERHEAD_BYTES`` each.
        ttl_seconds: age at which an entry is no longer served.
        clock: seconds that never go back.
    """

    def __init__(
        self, *, entries: int, size_bytes: int, ttl_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries, self._size_bytes, self._ttl_seconds, self._clock = entries, size_bytes, ttl_seconds, clock
        self._items: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: bytes) -> bytes | None:
        """The body stored under ``key``, unless it is too old."""
        item = self._items.get(key)
        if item is None:
            return None
        expires, body = item
        if self._clock() >= expires:
            self._drop(key)
            return None
        self._items.move_to_end(key)
        return body

    def put(self, key: bytes, body: bytes) -> None:
        """Store ``body``; one that alone exceeds the bound is not stored."""
        if key in self._items:
            self._drop(key)
        if self._entries == 0 or len(body) + ENTRY_OVERHEAD_BYTES > self._size_bytes:
            return
        self._items[key] = (self._clock() + self._ttl_seconds, body)
        self.used_bytes += len(body) + ENTRY_OVERHEAD_BYTES
        while len(self._items) > self._entries or self.used_bytes > self._size_bytes:
            self._drop(next(iter(self._items)))

    def _drop(self, key: bytes) -> None:
        _, body = self._items.pop(key)
        self.used_bytes -= len(body) + ENTRY_OVERHEAD_BYTES
