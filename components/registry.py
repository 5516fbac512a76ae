"""Registry: where built images are pushed to and pulled from."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._base import Component

__all__ = ["Registry", "RegistryArgs"]


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """What a registry is given.

    Attributes:
        server: host[:port][/path] of an existing registry (the local one, Docker Hub, GHCR, a company's).
        pull_secret: name of a Secret of type kubernetes.io/dockerconfigjson in the namespace; empty for none.
        stack: the stack's name; part of every repository, so that two stacks never overwrite each other's tags.
    """

    server: str
    pull_secret: str
    stack: str


class Registry(Component):
    """An existing registry. It owns no resources: repositories of these registries come into being with the first push.

    Outputs:
        server: host, port and path.
        pull_secret: name of the Secret that pods pull with; empty for none.
    """

    server: pulumi.Output[str]
    pull_secret: str

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self._prefix = f"{args.server}/{args.stack}"
        self.server = pulumi.Output.from_input(args.server)
        self.pull_secret = args.pull_secret
        self.register_outputs({"server": self.server})

    def repository(self, image: str) -> str:
        """Name of the repository of an image, e.g. ``127.0.0.1:5000/dev/assistant``."""
        return f"{self._prefix}/{image}"
