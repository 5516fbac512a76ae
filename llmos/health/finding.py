"""What one look at a stack found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from planner.faults import LlmosError

__all__ = ["Finding", "of_error"]

_EXPIRED = re.compile(
    r"Unauthorized|must be logged in|expired|ExpiredToken|invalid access token|InvalidClientTokenId|401|not logged in"
    r"|getting credentials|executable .* not found|no such (host|file).*credential|could not get token"
)
# By what the message says of its origin: how a person gets a new login there.
_LOGINS = (
    (re.compile(r"(?i)\baws\b|sts|eks|sso"), "aws sso login"),
    (re.compile(r"(?i)gke|gcloud"), "gcloud auth login"),
    (re.compile(r"(?i)azure|kubelogin|\baz\b"), "az login"),
    (re.compile(r"(?i)pulumi|access token"), "pulumi login"),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what, e.g. ``lock``.
        state: ``unknown`` where it could not be looked at, which stops nothing.
        text: what was found.
        mend: the commands that mend it, in order; none where nothing is wrong.
    """

    check: str
    state: Literal["ok", "wrong", "unknown"]
    text: str
    mend: tuple[str, ...] = ()


def of_error(check: str, error: LlmosError, *, again: str) -> Finding:
    """The finding of a check that failed: an expired login with how to get a new one, else what the fault says.

    Args:
        check: which.
        error: what was raised.
        again: the command that shows whether it is mended.
    """
    fault = error.faults[0]
    if not _EXPIRED.search(fault.what):
        return Finding(check=check, state="wrong", text=f"{fault.where}: {fault.what}", mend=(fault.fix,))
    login = next((command for known, command in _LOGINS if known.search(fault.what)), "")
    mend = (login or fault.fix, again)
    return Finding(check=check, state="wrong", text=f"{fault.where}: the login is refused: {fault.what}", mend=mend)
