"""The lock of a stack: what machines wrote and people review. ``release`` holds digests, ``sizing`` hardware."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from planner.faults import Fault, UserFault
from planner.settings._base import ImageRef, Settings

__all__ = ["Lock", "Release", "Signature", "parse_lock", "release_hash"]

_DIGEST = r"^sha256:[0-9a-f]{64}$"


class _LockModel(Settings):
    # Later versions of the program add fields; an older one must still read the file.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Signature(_LockModel):
    """A signature over an image's digest, as cosign keeps it beside the image. It proves itself to whoever has the
    public key, so nobody needs to trust the file that carries it, and nothing has to be asked."""

    payload: str
    """What was signed: a simple-signing document that names the digest, in Base64."""
    signature: str
    """ECDSA over SHA-256 of the payload, in Base64."""


class Release(_LockModel):
    """What was promoted: image digests and model revisions, where they were tested, and when."""

    images: dict[str, ImageRef] = {}
    """Image reference with digest, by application."""
    model_images: dict[str, ImageRef] = {}
    """The same of the model servers, by model."""
    revisions: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]] = {}
    """Commit of the weights, by model."""
    platforms: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = {}
    """Platforms that the registry was seen to serve, by image reference."""
    signatures: dict[Annotated[str, Field(pattern=_DIGEST)], Annotated[tuple[Signature, ...], Field(strict=False)]] = {}
    """Signatures, by image digest; those that policies of the environment ask for."""
    promoted_from: str = ""
    """The stack that ran all of this when it was promoted."""
    source_commit: str = ""
    """Commit that it was built from; empty when that stack was not deployed from a version-controlled folder."""
    promoted_at: Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$")] = ""
    """When, in UTC."""
    promoted_by: str = ""
    """What wrote this, and through which engine it saw the stack run."""
    hash: str = ""
    """SHA-256 of the rest of the release, so that an edit by hand shows."""


class Lock(_LockModel):
    """One ``locks/<stack>.json``."""

    release: Release = Release()
    """What was promoted into this stack."""
    sizing: dict[str, Any] = {}
    """Hardware chosen for this stack."""


def release_hash(release: Mapping[str, Any]) -> str:
    """SHA-256 of a release as it stands in a lock, its own ``hash`` left out."""
    content = {key: value for key, value in release.items() if key != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def parse_lock(raw: Any, *, where: str) -> Lock:
    """Check a lock file's content. An absent file is ``{}``.

    Raises:
        UserFault: one fault per error; locks are machine-owned, so the remedy is to write it anew.
    """
    try:
        lock = Lock.model_validate(raw)
    except ValidationError as error:
        raise UserFault(
            Fault(
                what=f"not a lock as the program writes it: {item['msg'].removeprefix('Value error, ')}",
                where=f"{where}: {'.'.join(map(str, item['loc'])) or 'top level'}",
                fix="restore the file from version control, or write it anew with `promote` or `size`",
            )
            for item in error.errors(include_url=False)
        ) from error
    if lock.release.hash and lock.release.hash != release_hash(raw["release"]):
        raise UserFault(
            Fault(
                what="the release was edited after it was written: its hash is that of another content",
                where=f"{where}: release",
                nearest="what was not seen to run must not be deployed under the name of what was",
                fix=f"restore the file (git checkout -- {where}), and promote to change it",
            )
        )
    return lock
