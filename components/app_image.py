"""AppImage: one container image, built and pushed, known to others by its digest only."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_docker_build as docker_build

from components._base import Component, awaited
from components._builds import builder_inputs, cache_inputs, recorded_arguments, result_inputs
from planner.plan import BuildsPlan

__all__ = ["AppImage", "AppImageArgs"]


@dataclass(frozen=True, kw_only=True)
class AppImageArgs:
    """What an image build is given.

    Attributes:
        context: folder with the Dockerfile.
        repository: where it is pushed to, without tag.
        platforms: e.g. ``linux/amd64``; none for the one of the machine that builds.
        builds: which BuildKit builds, with which cache, and what is attached to the image.
        base_image: build argument ``BASE_IMAGE``; empty leaves it to the Dockerfile.
        ca_bundle: certificates of a company proxy as PEM text, given as build secret ``ca``; empty for none.
        pip_config: a pip.conf that names a company's package index, given as build secret ``pip``; empty for none.
        commit_epoch: when the folder was last committed, in seconds since 1970; None where it is not known.
        tag: under which it is pushed, for people and for lifecycle rules; images are used by digest only.
    """

    context: str
    repository: str
    platforms: tuple[str, ...]
    builds: BuildsPlan
    base_image: str = ""
    ca_bundle: str = ""
    pip_config: str = ""
    commit_epoch: int | None = None
    tag: str = "latest"


class AppImage(Component):
    """An image built by BuildKit and pushed.

    Nothing is built in a preview, so the digest is unknown then; a digest is never guessed.

    Outputs:
        ref: ``repository@sha256:…``.
        digest: ``sha256:…``.
    """

    ref: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(self, name: str, args: AppImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        build_args = recorded_arguments(args.builds, args.commit_epoch)
        if args.base_image:
            build_args["BASE_IMAGE"] = args.base_image
        secrets = {"ca": args.ca_bundle, "pip": args.pip_config}
        image = docker_build.Image(
            name,
            context={"location": args.context},
            dockerfile={"location": f"{args.context}/Dockerfile"},
            platforms=list(args.platforms) or None,
            tags=[f"{args.repository}:{args.tag}"],
            build_args=build_args,
            secrets={name: pulumi.Output.secret(text) for name, text in secrets.items() if text},
            build_on_preview=False,
            **builder_inputs(args.builds),
            **cache_inputs(args.builds, args.repository),
            **result_inputs(args.builds),
            # A rebuild with the same digest is a replace, and deleting the old one would delete the very image in use.
            opts=self.child(retain_on_delete=True),
        )
        self.digest = _previewed(image.digest) if pulumi.runtime.is_dry_run() else image.digest
        self.ref = pulumi.Output.concat(args.repository, "@", self.digest)
        self.register_outputs({"ref": self.ref, "digest": self.digest})


def _previewed(digest: pulumi.Output[str]) -> pulumi.Output[str]:
    """The provider calls a digest unknown only where an input changed; of a folder whose files changed it previews an
    empty one, which would be a reference without a digest."""
    return digest.apply(lambda text: text or awaited())
