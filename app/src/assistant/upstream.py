"""What the model server's failures mean to a caller."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from assistant.errors import ApiError

__all__ = ["UNAVAILABLE", "refusal", "transport_error"]

UNAVAILABLE = "The model server cannot be reached. Try again shortly."
_RETRY_AFTER = {"retry-after": "1"}
# llama.cpp and vLLM word it differently, and neither uses the code of the OpenAI API.
_TOO_LONG = ("context size", "context length", "context_length", "maximum model length")


def refusal(status: int, body: bytes, headers: dict[str, str]) -> ApiError:
    """The error for a response of the model server that is not 200.

    Refusals of the request are passed on with their reason. What is wrong between the two servers (a credential, a
    model's name, a crash) is not the caller's fault and not the caller's business: 502, and the log has the status.
    """
    if status in (400, 413, 422):
        message = _message(body)
        if any(words in message.lower() for words in _TOO_LONG):
            return ApiError(400, message, code="context_length_exceeded", param="messages")
        return ApiError(400, message, code="invalid_request")
    if status in (429, 503):
        retry = {"retry-after": headers.get("retry-after", "1")}
        if status == 429:
            return ApiError(429, "The model server is busy. Try again.", code="rate_limit_exceeded", headers=retry)
        return ApiError(503, "The model server is not ready. Try again.", code="backend_unavailable", headers=retry)
    return ApiError(502, f"The model server failed (HTTP {status}).", code="backend_error")


def transport_error(error: aiohttp.ClientError | TimeoutError) -> ApiError:
    """The error for a connection that failed before or during a response."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ApiError(503, UNAVAILABLE, code="backend_unavailable", headers=_RETRY_AFTER)
    if isinstance(error, TimeoutError):
        return ApiError(504, "The model server did not answer in time.", code="backend_timeout")
    return ApiError(502, "The connection to the model server broke.", code="backend_error")


def _message(body: bytes) -> str:
    """The reason inside an error body of any of the usual forms."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        document = document.get("error", document)
        reason = document.get("message") if isinstance(document, dict) else document
        if isinstance(reason, str) and reason:
            return reason
    return "The model server refused the request."
