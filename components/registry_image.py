"""RegistryImage: an image that exists, named by a tag, known to others by its digest only."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._base import Component

__all__ = ["RegistryImage", "RegistryImageArgs"]


@dataclass(frozen=True, kw_only=True)
class RegistryImageArgs:
    """What is looked up.

    Attributes:
        tag: name with a tag, e.g. ``ghcr.io/team/app:1.2``.
    """

    tag: str


class RegistryImage(Component):
    """The image that a tag names now.

    The provider's function is asked, not its resource of this name: that one pushes an image of the local engine, and
    deletes it with the stack. A function is asked in previews too, so what is deployed is what was previewed, unless
    the tag moved in between.

    Outputs:
        ref: ``repository@sha256:…``, without the tag: one that moves to the same content rolls nothing out.
        digest: ``sha256:…``.
    """

    ref: pulumi.Output[str]
    digest: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # Only stacks with such an image pay for the import, which takes a third of a second.
        import pulumi_docker as docker

        super().__init__(name, opts=opts)
        repository = args.tag.rpartition(":")[0]
        found = docker.get_registry_image_output(name=args.tag, opts=pulumi.InvokeOptions(parent=self))
        self.digest = found.sha256_digest
        self.ref = pulumi.Output.concat(repository, "@", self.digest)
        self.register_outputs({"ref": self.ref, "digest": self.digest})
