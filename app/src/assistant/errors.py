"""Errors in the form of the OpenAI API: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from assistant.logs import note

__all__ = ["ApiError", "on_api_error", "on_crash", "on_http_exception"]


class ApiError(Exception):
    """A refusal or failure that the caller is told about.

    Attributes:
        status: HTTP status.
        message: a sentence for people; never part of a prompt of somebody else, never a secret.
        code: a stable word for programs.
        param: the field of the request at fault, e.g. ``messages.0.role``.
        headers: further response headers, e.g. ``retry-after``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """The body of the response."""
        kind = "rate_limit_error" if self.status == 429 else "invalid_request_error"
        if self.status >= 500:
            kind = "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The whole response."""
        return JSONResponse(self.document(), status_code=self.status, headers=self.headers)


async def on_api_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette handler of ``ApiError``."""
    assert isinstance(error, ApiError)
    # Messages of refusals may quote the request, those of failures never do.
    note(request.scope, error=error.code, **({"reason": error.message} if error.status >= 500 else {}))
    return error.response()


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Starlette handler of its own errors: no such path, or not with this method."""
    assert isinstance(error, HTTPException)
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    message = f"{error.detail}: {request.method} {request.url.path}"
    return ApiError(error.status_code, message, code=code, headers=error.headers).response()


async def on_crash(_request: Request, _error: Exception) -> JSONResponse:
    """Starlette handler of a fault of ours; the traceback goes to the log, not to the caller."""
    message = "The application failed. The request id finds it in the log."
    return ApiError(500, message, code="internal_error").response()
