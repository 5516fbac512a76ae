"""The lock of a stack: what machines wrote and people review. ``release`` holds digests, ``sizing`` hardware."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from planner.faults import Fault, UserFault
from planner.settings._base import ImageRef, Settings

__all__ = ["Lock", "Release", "parse_lock"]


class _LockModel(Settings):
    # Later versions of the program add fields; an older one must still read the file.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Release(_LockModel):
    """What was promoted: image digests and model revisions."""

    images: dict[str, ImageRef] = {}
    """Image reference with digest, by application."""
    revisions: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]] = {}
    """Commit of the weights, by model."""


class Lock(_LockModel):
    """One ``locks/<stack>.json``."""

    release: Release = Release()
    """What was promoted into this stack."""
    sizing: dict[str, Any] = {}
    """Hardware chosen for this stack."""


def parse_lock(raw: Any, *, where: str) -> Lock:
    """Check a lock file's content. An absent file is ``{}``.

    Raises:
        UserFault: one fault per error; locks are machine-owned, so the remedy is to write it anew.
    """
    try:
        return Lock.model_validate(raw)
    except ValidationError as error:
        raise UserFault(
            Fault(
                what=f"not a lock as the program writes it: {item['msg'].removeprefix('Value error, ')}",
                where=f"{where}: {'.'.join(map(str, item['loc'])) or 'top level'}",
                fix="restore the file from version control, or write it anew with `promote` or `size`",
            )
            for item in error.errors(include_url=False)
        ) from error
