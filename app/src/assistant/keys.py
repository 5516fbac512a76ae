"""API keys of callers: compared in constant time, kept as digests only."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable

from assistant.errors import ApiError

__all__ = ["ApiKeys"]

_SCHEME = "bearer "


class ApiKeys:
    """The keys that are accepted; none means that everybody is.

    Only SHA-256 digests are kept, so neither a crash report nor a log line can show a key, and all comparisons have
    the same length.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    @classmethod
    def parse(cls, text: str) -> ApiKeys:
        """Keys separated by commas or line ends.

        Raises:
            ValueError: when a key has characters that no HTTP header can carry. The key is not quoted.
        """
        keys = [key.strip() for key in re.split(r"[,\r\n]", text) if key.strip()]
        for position, key in enumerate(keys, start=1):
            if not re.fullmatch(r"[!-~]+", key):
                raise ValueError(f"key {position} has characters other than printable ASCII without blanks")
        return cls(keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __repr__(self) -> str:
        return f"ApiKeys({len(self._digests)} keys)"

    def caller(self, authorization: str | None) -> str:
        """Who asks, by the ``Authorization`` header: ``key-1``, ``key-2``, … or ``anonymous``.

        Raises:
            ApiError: 401, when keys are configured and the header carries none of them.
        """
        if not self._digests:
            return "anonymous"
        header = authorization or ""
        offered = _digest(header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else "")
        # Every key is compared, so that the time does not tell which one matched.
        matches = [hmac.compare_digest(offered, digest) for digest in self._digests]
        if not any(matches):
            what = "Incorrect API key provided." if header else "You didn't provide an API key."
            raise ApiError(
                401,
                f"{what} Send it as `Authorization: Bearer YOUR_KEY`.",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )
        return f"key-{matches.index(True) + 1}"


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
