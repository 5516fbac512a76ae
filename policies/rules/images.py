"""Container images: pinned by digest, from registries that are allowed, with a tag that means something."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator

from ._model import Container, Pod, Resource
from ._node import Node
from ._rule import Context, Option, Rule, Violation, each_container, each_pod

__all__ = ["DIGEST", "RULES"]

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def _repository(image: str) -> str:
    """The full name without tag and digest; Docker Hub's short names are written out, as the container runtime does."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    name = head + slash + tail.partition(":")[0]
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _users(resource: Resource) -> Iterator[Container | Pod]:
    """Whatever names images: containers, and pods for the images that they mount as volumes."""
    yield from each_container(resource)
    yield from each_pod(resource)


def _references(user: Container | Pod) -> Iterator[Node]:
    if isinstance(user, Container):
        yield user.node.get("image")
        return
    for volume in user.spec.get("volumes").elements():
        if volume.get("image").exists:
            yield volume.get("image", "reference")


def _digest(user: Container | Pod, context: Context) -> Iterable[Violation]:
    for image in _references(user):
        text = image.text
        if text is None:
            # An absent image is refused by the API server, except in templates that an injector completes.
            if image.exists:
                yield Violation(path=image.path, message="the image reference is not text")
        elif not DIGEST.search(text):
            yield Violation(path=image.path, message="the image is not pinned by digest (`@sha256:` and 64 hex digits)")


def _has_tag(container: Container, context: Context) -> Iterable[Violation]:
    image = container.node.get("image")
    text = image.text
    if text is not None and "@" not in text and _tag(text) in ("", "latest"):
        yield Violation(path=image.path, message="the image has no tag, or `latest`, so every pull may bring another "
        "one")


def _allowed_registry(user: Container | Pod, context: Context) -> Iterable[Violation]:
    allowed = context.config["registries"]
    for image in _references(user) if allowed else ():
        text = image.text
        if text and not any(fnmatch.fnmatchcase(_repository(text), pattern) for pattern in allowed):
            yield Violation(
                path=image.path,
                message=f"the image comes from a registry that is not among the {len(allowed)} allowed patterns",
            )


RULES = (
    Rule(
        id="image-digest",
        title="Every image, of a container or mounted as a volume, is pinned by its sha256 digest.",
        why="A tag can be moved to other content after review, so what runs is no longer what was tested.",
        fix="use the digest of a pushed image, `name@sha256:...`",
        sources=(
            "https://kubernetes.io/docs/concepts/containers/images/#image-names",
            "https://media.defense.gov/2022/Aug/29/2003066362/-1/-1/0/CTR_KUBERNETES_HARDENING_GUIDANCE_1.2_20220829.PDF",
        ),
        controls=("owasp-llm/LLM03:2025",),
        cells=_users,
        checks=(_digest,),
    ),
    Rule(
        id="image-tag",
        title="An image without a digest carries a tag other than `latest`.",
        why="Without one, nodes that pull at different times run different software. For places where image-digest "
        "is off.",
        fix="name the version, better the digest",
        level="disabled",
        sources=("https://kubernetes.io/docs/concepts/containers/images/#image-names",),
        cells=each_container,
        checks=(_has_tag,),
    ),
    Rule(
        id="image-registry",
        title="Images come from allowed registries only.",
        why="A typo or a squatted name on a public registry runs foreign code inside the cluster.",
        fix="push the image to an allowed registry, or add the registry to `registries` of this rule",
        sources=("https://kubernetes.io/docs/concepts/containers/images/",),
        controls=("owasp-llm/LLM03:2025",),
        cells=_users,
        checks=(_allowed_registry,),
        options={
            "registries": Option(
                schema={"type": "array", "items": {"type": "string"}},
                default=[],
                about="allowed image names without tag, with wildcards, e.g. `registry.example.com/team/*`; empty: all",
            )
        },
    ),
)
