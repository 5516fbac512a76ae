"""Building the images that a synthesised program asks for, for engines that do not build themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping

from llmos.console import note, step
from llmos.images.build import BuiltImage, build, check, unchanged
from llmos.images.options import options_of
from llmos.images.registry import ensure_registry, find_registry, known_address
from llmos.images.tags import digest_of
from llmos.paths import PROJECT_ROOT
from llmos.stacks import Stack
from llmos.synth import IMAGE_TYPE, Program, ResolveTag, Resource, synth
from planner.faults import UserFault
from planner.plan import awaited
from planner.plan.make import LOCAL_REGISTRY

__all__ = [
    "build_images", "check_images", "name_registry", "needs_registry", "require_release", "synth_built",
    "synth_preview",
]  # fmt: skip


def needs_registry(stack: Stack) -> bool:
    """Whether images are built into the local registry, or nodes pull them from it: it ends with its machine, and the
    stack file names only what was built before."""
    plan, address = stack.plan, known_address()
    images = [*(image.ref for image in plan.images), *(model.image for model in plan.models)]
    pulled = address != "" and any(image.startswith(f"{address}/") for image in images)
    return plan.target == "local" and (pulled or any(image.build for image in plan.images))


def name_registry(*, install: bool) -> None:
    """Start the local registry and tell the program (``planner.machine.local_registry``) where it is."""
    os.environ["LLMOS_REGISTRY"] = ensure_registry(install=install).address


def check_images(stack: Stack, program: Program, *, install: bool) -> None:
    """Raise at once what ``build_images`` would raise for want of a folder, an engine or a package; changes nothing."""
    require_release(stack)
    for resource in program.of_type(IMAGE_TYPE):
        check(**_arguments(stack, resource), install=install)


def require_release(stack: Stack) -> None:
    """Raise UserFault while the lock does not name all images and revisions of a stack that is promoted into."""
    missing = awaited(stack.plan)
    if missing:
        raise UserFault(missing)


def build_images(stack: Stack, program: Program, *, install: bool) -> dict[str, BuiltImage]:
    """Build and push every image of the program; one that did not change is only looked up.

    Raises:
        UserFault: a build fails.
        EnvironmentFault: no Docker engine, registry or base image can be had.
    """
    built = {}
    for resource in program.of_type(IMAGE_TYPE):
        with step(f"image {resource.name} from {resource.inputs['context']['location']}"):
            image = build(**_arguments(stack, resource), install=install)
        note(f"  {image.ref}{'' if image.changed else ' (unchanged)'}")
        built[resource.name] = image
    return built


def synth_built(stack: Stack, images: Mapping[str, BuiltImage]) -> Program:
    """The program with the digests of its images."""
    return synth(stack.raw, stack=stack.name, build=lambda name, _: images[name].digest, resolve=_resolver(stack))


def synth_preview(stack: Stack, *, offline: bool = False) -> tuple[Program, list[str]]:
    """The program as a preview sees it, and the names of images whose digest is not known yet.

    Nothing is built or started. Where every image is the one that the last build made, its digest is known and the
    preview is exact. Images by tag are looked up in their registry, unless ``offline`` says that nothing is asked.

    Raises:
        UserFault: a registry does not have a tag.
        EnvironmentFault: a registry is out of reach or refuses.
    """
    resolve = None if offline else _resolver(stack)
    registry = find_registry()
    if registry:
        os.environ["LLMOS_REGISTRY"] = registry.address
    program = synth(stack.raw, stack=stack.name, preview=True, resolve=resolve)
    wanted = program.of_type(IMAGE_TYPE)
    known = {resource.name: unchanged(**_arguments(stack, resource), offline=offline) for resource in wanted}
    missing = [name for name, digest in known.items() if digest is None]
    missing += [image.name for image in stack.plan.images if image.tag and offline]
    if missing or awaited(stack.plan):
        return program, missing
    return synth(stack.raw, stack=stack.name, build=lambda name, _: known[name] or "", resolve=resolve), []


def _resolver(stack: Stack) -> ResolveTag:
    """Looks a tag up once per run: what was judged is what is deployed, even if the tag moves in between."""
    owners = {image.tag: image.name for image in stack.plan.images if image.tag}

    def resolve(tag: str) -> str:
        if tag not in _digests:
            where = f"{stack.file.name}: applications.{owners[tag]}.image.tag"
            with step(f"looking up {tag}"):
                _digests[tag] = digest_of(tag, where=where)
        return _digests[tag]

    return resolve


_digests: dict[str, str] = {}


def _arguments(stack: Stack, resource: Resource) -> dict[str, object]:
    """Arguments of ``llmos.images.build`` from the inputs that the engine's provider would get."""
    inputs = resource.inputs
    repository = inputs["tags"][0].rpartition(":")[0]
    if stack.plan.target == "local":
        # The local registry is found by the build itself.
        address = os.environ.get("LLMOS_REGISTRY") or LOCAL_REGISTRY
        repository = repository.removeprefix(f"{address}/")
    return {
        "context": PROJECT_ROOT / inputs["context"]["location"],
        "repository": repository,
        "platforms": tuple(inputs.get("platforms", ())),
        "build_args": inputs.get("buildArgs", {}),
        "options": options_of(
            inputs, stack.plan.builds, project=PROJECT_ROOT, stated=stack.settings.builds.builder is not None
        ),
    }
