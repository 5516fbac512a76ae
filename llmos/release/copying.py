"""Copying an image from one registry to another: every byte, and so every digest, stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmos.images.reference import Reference
from llmos.images.remote import Manifest, RemoteRegistry
from llmos.release.served import gone, image_manifests

__all__ = ["attached_tags", "copy_image"]


def attached_tags(digest: str) -> tuple[str, ...]:
    """Tags under which cosign keeps signatures, attestations and SBOMs of a digest."""
    return tuple(f"{digest.replace(':', '-')}.{kind}" for kind in ("sig", "att", "sbom"))


def copy_image(source: Reference, target: Reference, registries: tuple[RemoteRegistry, RemoteRegistry]) -> None:
    """Copy an image with all platforms, attestations and signatures.

    The target is tagged, with the source's tag or one made from the digest: registries clean up what has no tag.

    Args:
        source: with its digest.
        target: registry and repository; its digest is the source's.
        registries: those of source and target.

    Raises:
        UserFault: the source is not whole.
        EnvironmentFault: a registry does not answer or refuses the login.
    """
    origin, _ = registries
    where = f"copy of {source}"
    top = origin.manifest(source.repository, source.digest)
    if top is None:
        raise gone(source, f"{source.name} does not have {source.digest}", where)
    for _, manifest in image_manifests(source, top, origin, where=where):
        if manifest is not top:
            _copy_manifest(manifest, manifest.digest, source, target, registries)
    _copy_manifest(top, source.tag or f"promoted-{source.digest[7:19]}", source, target, registries)
    for tag in attached_tags(source.digest):
        attached = origin.manifest(source.repository, tag)
        if attached is not None:
            _copy_manifest(attached, tag, source, target, registries)


def _copy_manifest(
    manifest: Manifest, name: str, source: Reference, target: Reference,
    registries: tuple[RemoteRegistry, RemoteRegistry],
) -> None:  # fmt: skip
    origin, destination = registries
    for blob in _blobs(manifest):
        if not destination.has_blob(target.repository, blob["digest"]):
            with origin.read_blob(source.repository, blob["digest"]) as content:
                destination.push_blob(target.repository, blob["digest"], content, size=blob["size"])
    destination.push_manifest(target.repository, name, manifest)


def _blobs(manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    for blob in (manifest.content.get("config"), *manifest.content.get("layers", ())):
        if blob and not blob.get("urls"):
            yield blob
