"""Which digest a tag names now."""

from __future__ import annotations

from dataclasses import replace

from llmos.images.reference import Reference, parse_reference
from llmos.images.remote import RemoteRegistry
from planner.faults import EnvironmentFault, Fault, UserFault, nearest

__all__ = ["digest_of"]

_SHOWN_TAGS = 10


def digest_of(tag: str, *, where: str) -> str:
    """The digest of an image that is named by a tag, asked of its registry with the Docker client's login.

    Args:
        tag: e.g. ``ghcr.io/team/app:1.2``.
        where: what messages name as the place, e.g. ``Pulumi.dev.yaml: applications.app.image.tag``.

    Raises:
        UserFault: the registry has no such image or tag.
        EnvironmentFault: the registry is out of reach, or refuses the login.
    """
    image = parse_reference(tag)
    registry = RemoteRegistry(host=image.host)
    try:
        digest = registry.digest(image.repository, image.tag)
    except EnvironmentFault as error:
        (fault,) = error.faults
        raise EnvironmentFault(replace(fault, what=f"{tag}: {fault.what}", where=where)) from error
    if digest is None:
        raise UserFault(_absent(image, registry, where=where))
    return digest


def _absent(image: Reference, registry: RemoteRegistry, *, where: str) -> Fault:
    try:
        tags = registry.tags(image.repository)
    except (EnvironmentFault, ValueError):
        tags = []
    hint = nearest(image.tag, tags)
    return Fault(
        what=f"{image.host} has no {image.repository}:{image.tag}", where=where,
        nearest=hint if hint.startswith("did") or len(tags) <= _SHOWN_TAGS else "",
        fix="name a tag that exists; to those who are not logged in a private repository may look like none",
    )  # fmt: skip
