"""Which container image each application and model server runs."""

from __future__ import annotations

from collections.abc import Mapping

from planner.faults import Fault
from planner.lock import Lock, Release
from planner.plan.types import AWAITED, ImagePlan, Plan
from planner.settings import Application, Image, Model, StackSettings

__all__ = ["VLLM_IMAGE", "awaited", "plan_images", "promoted"]

# vLLM 0.28.0, released 2026-08; the digest is that of the tag's multi-platform index. Policies ask for 0.18 or newer:
# earlier versions had three ways around --trust-remote-code=false.
VLLM_IMAGE = (
    "docker.io/vllm/vllm-openai:v0.28.0@sha256:61fc8a896b0a4fbbbdc063bc4b0dbc25ce98e02b5050c24aeb7830ac02039b14"
)


def plan_images(
    settings: StackSettings, *, lock: Lock, where: str
) -> tuple[dict[str, ImagePlan], list[Fault]]:
    """The image of every application and model, by the owner's name, and the faults of those that have none.

    Applications that build the same folder the same way share one image. ``builtin:tiny`` is served by the sample
    application's own image, which carries the weights. In a stack that takes its images from the lock, those of model
    servers come from there too: another version of this program must not move what was tested.
    """
    images: dict[str, ImagePlan] = {}
    faults: list[Fault] = []
    built: dict[Image, str] = {}
    usual = () if settings.target == "local" else ("linux/amd64",)
    for name, application in sorted(settings.applications.items()):
        image = application.image
        if image.build:
            owner = built.setdefault(image, name)
            images[name] = ImagePlan(
                name=owner, build=image.build, platforms=image.platforms or usual, base_image=image.base_image or ""
            )
        elif image.ref:
            images[name] = ImagePlan(name=name, ref=image.ref)
        elif image.tag:
            images[name] = ImagePlan(name=name, tag=image.tag)
        else:
            images[name] = ImagePlan(name=name, ref=lock.release.images.get(name, ""))
    for name, model in sorted(settings.models.items()):
        image = _model_image(name, model, settings.applications, images, lock.release)
        if image:
            images[name] = image
        elif not faults:
            faults.append(
                Fault(
                    what="builtin:tiny is served by the sample application's image, and no application has one",
                    where=f"{where}: models.{name}.image", fix="set image to the digest of a built sample application",
                )
            )
    return images, faults


def _model_image(
    name: str, model: Model, applications: dict[str, Application], images: dict[str, ImagePlan], release: Release
) -> ImagePlan | None:
    if model.image:
        return ImagePlan(name=name, ref=model.image)
    if model.engine == "vllm" and promoted(applications) and (release.model_images or not release.images):
        return ImagePlan(name=name, ref=release.model_images.get(name, ""))
    if model.engine == "vllm":
        return ImagePlan(name="vllm", ref=VLLM_IMAGE)
    clients = sorted(key for key, application in applications.items() if application.model_key == name)
    owners = [key for key in (*clients, *sorted(applications)) if key in images and not applications[key].command]
    return images[owners[0]] if owners else None


def promoted(applications: Mapping[str, Application]) -> bool:
    """Whether a stack builds nothing and runs what was promoted into it."""
    return any(application.image.from_ for application in applications.values())


def awaited(plan: Plan) -> list[Fault]:
    """A fault when the lock does not name every image and revision yet. A preview can do without, and shows them as
    unknown, so that cost and policies of a new stack can be reviewed before its first release; nothing else can."""
    missing = [f"the image of {image.name}" for image in plan.images if image.awaited]
    missing += [f"the revision of {model.name}" for model in plan.models if model.revision == AWAITED]
    if not missing:
        return []
    return [
        Fault(
            what=f"locks/{plan.stack}.json does not say {', '.join(missing)}",
            where=plan.stack_file,
            nearest=f"without them: python3 -m llmos preview --offline --stack {plan.stack}",
            fix=f"promote a release into this stack: python3 -m llmos promote <from> {plan.stack}",
        )
    ]
