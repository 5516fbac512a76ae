"""Whether a registry serves an image whole: the digest, and behind it every platform with all its layers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmos.images.reference import Reference
from llmos.images.remote import Manifest, RemoteRegistry
from planner.faults import Fault, UserFault

__all__ = ["Served", "gone", "image_manifests", "verify_served"]

_ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")
_PREDICATE = "in-toto.io/predicate-type"


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a registry was seen to serve.

    Attributes:
        platforms: e.g. ``linux/amd64``, sorted.
        attested: predicate types of the attestations that BuildKit attached: provenance, SBOM.
    """

    platforms: tuple[str, ...]
    attested: tuple[str, ...]


def verify_served(image: Reference, registry: RemoteRegistry, *, platforms: Sequence[str], where: str) -> Served:
    """Ask for everything that a node would pull, and read back what is small.

    Args:
        image: with its digest.
        registry: of ``image.host``.
        platforms: those that must be there; none asks for whatever the image claims.
        where: what messages call it.

    Raises:
        UserFault: the digest, a platform or a layer is not there.
        EnvironmentFault: the registry does not answer or refuses the login.
    """
    top = registry.manifest(image.repository, image.digest)
    if top is None:
        raise gone(image, f"{image.name} does not have {image.digest}", where)
    found: set[str] = set()
    attested: set[str] = set()
    for platform, manifest in image_manifests(image, top, registry, where=where):
        if platform:
            found.add(platform)
        else:
            attested |= set(_predicates(manifest))
        _verify_blobs(image, manifest, registry, platform=platform or "its attestation", where=where)
    missing = sorted(set(platforms) - found)
    if missing:
        raise UserFault(
            Fault(
                what=f"{image} is not there for {', '.join(missing)}", where=where,
                nearest=f"it is for {', '.join(sorted(found)) or 'no platform'}",
                fix="build it for these platforms (image.platforms), deploy and promote again",
            )
        )  # fmt: skip
    return Served(platforms=tuple(sorted(found)), attested=tuple(sorted(attested)))


def image_manifests(
    image: Reference, top: Manifest, registry: RemoteRegistry, *, where: str
) -> Iterator[tuple[str, Manifest]]:
    """(platform, manifest) of everything in an image; attestations have no platform."""
    if not top.is_index:
        config = registry.blob(image.repository, top.content.get("config", {}).get("digest", ""))
        yield _platform(_json(config)), top
        return
    for entry in top.content.get("manifests", ()):
        manifest = registry.manifest(image.repository, entry["digest"])
        attestation = entry.get("annotations", {}).get(_ATTESTATION[0]) == _ATTESTATION[1]
        platform = "" if attestation else _platform(entry.get("platform", {}))
        if manifest is None:
            raise gone(image, f"{image.name} names {entry['digest']} for {platform or 'attestations'}, "
                        "and does not have it", where)  # fmt: skip
        yield platform, manifest


def _verify_blobs(
    image: Reference, manifest: Manifest, registry: RemoteRegistry, *, platform: str, where: str
) -> None:
    for blob in (manifest.content.get("config"), *manifest.content.get("layers", ())):
        # A layer with addresses of its own is not in any registry.
        if blob and not blob.get("urls") and not registry.has_blob(image.repository, blob["digest"]):
            raise gone(image, f"{image.name} lacks {blob['digest']}, a part of {image.digest} ({platform})", where)


def _predicates(manifest: Manifest) -> Iterator[str]:
    for layer in manifest.content.get("layers", ()):
        if _PREDICATE in layer.get("annotations", {}):
            yield layer["annotations"][_PREDICATE]


def _platform(facts: dict[str, Any]) -> str:
    return "/".join(filter(None, (facts.get("os"), facts.get("architecture"), facts.get("variant"))))


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def gone(image: Reference, what: str, where: str) -> UserFault:
    """The error for an image of which something is not there."""
    return UserFault(
        Fault(
            what=what, where=where, nearest="the registry may have cleaned it up: a digest in use needs a tag there",
            fix=f"push {image.repository} again (`up` of the stack that builds it), then promote",
        )
    )  # fmt: skip
