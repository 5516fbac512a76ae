"""The release that a promotion would write: names matched, references found in the target's registry, all of it seen
to be served, signatures collected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmos.console import note, step
from llmos.images.reference import Reference, parse_reference
from llmos.images.remote import RemoteRegistry
from llmos.release.copying import copy_image
from llmos.release.running import Running
from llmos.release.served import verify_served
from llmos.release.signatures import signatures_of
from llmos.stacks import Stack
from planner.faults import Fault, UserFault
from planner.plan import promoted
from planner.settings import BUILTIN_TINY, StackSettings

__all__ = ["Candidate", "Target", "make_candidate"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The stack that is promoted into.

    Attributes:
        name: its name.
        file: its stack file's name.
        settings: what that says.
        registry: host and path that its images must come from; empty for any.
    """

    name: str
    file: str
    settings: StackSettings
    registry: str


@dataclass(kw_only=True)
class Candidate:
    """What would be written, and what was seen on the way.

    Attributes:
        images: reference by application.
        model_images: reference by model.
        revisions: commit by model.
        platforms: platforms by reference.
        signatures: those of each digest, as they stand in a lock.
        attested: kinds of attestations by reference: provenance, SBOM.
    """

    images: dict[str, str] = field(default_factory=dict)
    model_images: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    platforms: dict[str, list[str]] = field(default_factory=dict)
    signatures: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    attested: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """The part of a release that says what is to run."""
        return {
            "images": self.images, "model_images": self.model_images, "revisions": self.revisions,
            "platforms": self.platforms, "signatures": self.signatures,
        }  # fmt: skip


def make_candidate(running: Running, source: Stack, target: Target, *, copy_to: str) -> Candidate:
    """Find everything that the target needs among what the source runs, in a registry that the target may pull from.

    Args:
        running: what the source was seen to run.
        source: its stack.
        target: the stack that is promoted into.
        copy_to: registry and path to copy every image to; empty copies nothing.

    Raises:
        UserFault: names that do not match, a tag in place of a digest, an image that is not where the target pulls
            from, or not there whole; one fault for each.
        EnvironmentFault: a registry does not answer or refuses the login.
    """
    faults = [*_unpromotable(target), *_names(running, source, target), *_revisions(running, source, target)]
    if copy_to and target.registry and not f"{copy_to}/".startswith(f"{target.registry}/"):
        faults.append(_elsewhere(copy_to, target))
    if faults:
        raise UserFault(faults)
    made = Candidate()
    known: dict[str, str] = {}
    registries: dict[str, RemoteRegistry] = {}
    for kind, name in _wanted(target):
        text = (running.images if kind == "applications" else running.model_images)[name]
        if text not in known:
            with step(f"image of {name}"):
                known[text] = _settle(text, (kind, name), source, target, copy_to, registries, made)
        (made.images if kind == "applications" else made.model_images)[name] = known[text]
    made.revisions = {name: running.revisions[name] for name in _hub_models(target) if name in running.revisions}
    return made


def _wanted(target: Target) -> Iterator[tuple[str, str]]:
    """The applications and models of the target whose image comes from the lock. A model on the tiny built-in weights
    is served by an application's image."""
    for name, application in sorted(target.settings.applications.items()):
        if application.image.from_:
            yield "applications", name
    for name, model in sorted(target.settings.models.items()):
        if not model.image and model.source != BUILTIN_TINY:
            yield "models", name


def _hub_models(target: Target) -> list[str]:
    return [name for name, model in sorted(target.settings.models.items()) if model.source != BUILTIN_TINY]


def _unpromotable(target: Target) -> Iterator[Fault]:
    if not promoted(target.settings.applications):
        yield Fault(
            what="no application takes its image from the lock, so a release would change nothing",
            where=f"{target.file}: applications",
            fix="set image: {from: lock} for the applications that are promoted",
        )


def _names(running: Running, source: Stack, target: Target) -> Iterator[Fault]:
    for kind, name in _wanted(target):
        images: Mapping[str, str] = running.images if kind == "applications" else running.model_images
        if name not in images:
            yield Fault(
                what=f"stack {running.stack} runs no {kind.removesuffix('s')} `{name}`",
                where=f"{target.file}: {kind}.{name}",
                nearest=f"it runs {', '.join(sorted(images)) or 'none'}",
                fix=f"add it to {source.file.name} and deploy that, or take it out of {target.file}",
            )
        elif not parse_reference(images[name]).digest:
            yield Fault(
                what=f"{name} runs {images[name]}, a tag: what stands behind it now may not be what was tested",
                where=f"stack {running.stack}", nearest="`up` deploys by digest; somebody changed the cluster since",
                fix=f"python3 -m llmos up --stack {running.stack}, then promote",
            )


def _revisions(running: Running, source: Stack, target: Target) -> Iterator[Fault]:
    for name in _hub_models(target):
        model, tested = target.settings.models[name], source.settings.models.get(name)
        place = f"{target.file}: models.{name}"
        if tested is None or name not in running.model_images:
            continue
        if tested.source != model.source:
            yield Fault(
                what=f"stack {running.stack} runs {tested.source}, and this says {model.source}; a revision of the one "
                "means nothing for the other",
                where=f"{place}.source", fix=f"set source: {tested.source}, or promote when {running.stack} runs this",
            )
        elif name not in running.revisions:
            yield Fault(
                what=f"{running.stack} runs {model.source} without a revision: nobody knows which weights were tested",
                where=f"{source.file.name}: models.{name}.revision", fix="state the commit there and deploy it",
            )
        elif model.revision and model.revision != running.revisions[name]:
            yield Fault(
                what=f"states revision {model.revision[:12]}, and {running.stack} runs {running.revisions[name][:12]}",
                where=f"{place}.revision", fix="take the line out: the lock says which revision was promoted",
            )


def _settle(
    text: str, owner: tuple[str, str], source: Stack, target: Target, copy_to: str,
    registries: dict[str, RemoteRegistry], made: Candidate,
) -> str:  # fmt: skip
    """The reference under which the target pulls this image, seen to be served there; copied first where asked for."""
    kind, name = owner
    where = f"promotion to {target.name}: {kind}.{name}"
    image = parse_reference(text)
    built = _built_platforms(name, source)
    own = bool(built) or f"{image.name}/".startswith(f"{source.plan.registry.server}/")
    place = _place(image, own=own, target=target, copy_to=copy_to)

    def registry(host: str) -> RemoteRegistry:
        return registries.setdefault(host, RemoteRegistry(host=host))

    if copy_to and place.name != image.name:
        note(f"  copying {image} to {place.name}")
        copy_image(image, place, (registry(image.host), registry(place.host)))
    elif place.name != image.name and registry(place.host).manifest(place.repository, place.digest) is None:
        raise UserFault(
            Fault(
                what=f"{image.name}@{image.digest[:19]} is not in {target.registry}, from which {target.name} pulls",
                where=where, nearest=f"looked for it as {place.name}",
                fix=f"add --copy-to {target.registry}: it copies by digest",
            )
        )  # fmt: skip
    seen = verify_served(place, registry(place.host), platforms=built, where=where)
    made.platforms[str(place)] = list(seen.platforms)
    made.attested[str(place)] = seen.attested
    signatures = signatures_of(place, registry(place.host))
    if signatures:
        made.signatures[place.digest] = [one.model_dump() for one in signatures]
    note(f"  {place}: {', '.join(seen.platforms)}; {len(signatures)} signatures")
    return str(place)


def _built_platforms(name: str, source: Stack) -> tuple[str, ...]:
    """The platforms that the source builds an application's image for; none when it does not build it."""
    owners = {app.name: app.image for app in source.plan.applications}
    return source.plan.image(owners[name]).platforms if name in owners else ()


def _place(image: Reference, *, own: bool, target: Target, copy_to: str) -> Reference:
    """Where the target pulls the image from. Those that others publish stay where they are unless all are copied."""
    if f"{image.name}/".startswith(f"{copy_to or target.registry}/"):
        return image
    if copy_to:
        return image.at(copy_to)
    if not target.registry or not own:
        return image
    return image.at(target.registry)


def _elsewhere(copy_to: str, target: Target) -> Fault:
    return Fault(
        what=f"{target.name} pulls from {target.registry}, and the copies would go to {copy_to}",
        where=f"{target.file}: registry.server", fix=f"--copy-to {target.registry}, or change the registry there",
    )
