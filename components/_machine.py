"""What the program is told about the machine that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Machine"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the program is told about the machine it runs on; none of it enters the plan.

    Attributes:
        kubeconfig: file that describes the cluster; empty for the usual places of kubectl.
        registry: address of the local registry where it differs from the plan's; empty otherwise.
        base_image: base image for builds where the Dockerfile's own cannot be pulled; empty otherwise.
        cached_bases: base images by way of a cluster's pull-through cache, by build folder; the Dockerfile's own
            elsewhere.
        ca_bundle: PEM text of a company's certificates for downloads during builds; empty for none.
        pip_config: a pip.conf that names a company's package index for builds; empty for none.
        source_commit: commit that the stack is deployed from; empty where it is not known.
        registry_logins: registries that the Docker client is logged in to; names only.
        commit_epochs: when build folders were last committed, in seconds since 1970, by folder as in the plan.
        allow_replace: objects that this run may delete and create again, beside those that the stack file names.
        canaries: applications of which this run makes a canary beside what serves.
        content_tags: tags that name the content of build folders, by folder, for registries whose tags cannot be moved.
    """

    kubeconfig: str = ""
    registry: str = ""
    base_image: str = ""
    cached_bases: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str = ""
    pip_config: str = ""
    source_commit: str = ""
    registry_logins: tuple[str, ...] = ()
    commit_epochs: Mapping[str, int] = field(default_factory=dict)
    allow_replace: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    content_tags: Mapping[str, str] = field(default_factory=dict)

    def base_of(self, folder: str) -> str:
        """The base image of a build whose stack file names none; empty leaves it to the Dockerfile."""
        return self.base_image or self.cached_bases.get(folder, "")
