"""AppImage: one container image, built and pushed, known to others by its digest only."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_docker_build as docker_build

from components._base import Component

__all__ = ["AppImage", "AppImageArgs"]


@dataclass(frozen=True, kw_only=True)
class AppImageArgs:
    """What an image build is given.

    Attributes:
        context: folder with the Dockerfile.
        repository: where it is pushed to, without tag.
        platforms: e.g. ``linux/amd64``.
        base_image: build argument ``BASE_IMAGE``; empty leaves it to the Dockerfile.
        ca_bundle: certificates of a company proxy as PEM text, given as build secret ``ca``; empty for none.
        pip_config: a pip.conf that names a company's package index, given as build secret ``pip``; empty for none.
        local_engine: build with the Docker engine's own BuildKit instead of a builder container, whose image would
            have to be pulled from a public registry first.
    """

    context: str
    repository: str
    platforms: tuple[str, ...]
    base_image: str = ""
    ca_bundle: str = ""
    pip_config: str = ""
    local_engine: bool = False


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
        build_args = {"BASE_IMAGE": args.base_image} if args.base_image else {}
        secrets = {"ca": args.ca_bundle, "pip": args.pip_config}
        image = docker_build.Image(
            name,
            context={"location": args.context},
            dockerfile={"location": f"{args.context}/Dockerfile"},
            platforms=list(args.platforms),
            tags=[f"{args.repository}:latest"],
            build_args=build_args,
            secrets={name: pulumi.Output.secret(text) for name, text in secrets.items() if text},
            push=True,
            build_on_preview=False,
            exec_=args.local_engine,
            builder={"name": "default"} if args.local_engine else None,
            network="host" if args.local_engine else None,
            # A rebuild with the same digest is a replace, and deleting the old one would delete the very image in use.
            opts=self.child(retain_on_delete=True),
        )
        self.digest = image.digest
        self.ref = pulumi.Output.concat(args.repository, "@", image.digest)
        self.register_outputs({"ref": self.ref, "digest": self.digest})
