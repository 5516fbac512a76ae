"""Settings of GitOps: what the files of ``render --gitops`` refer to outside themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from planner.settings._base import Settings

__all__ = ["GitOps", "SecretStore"]

_NAME = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"


class SecretStore(Settings):
    """The store of the External Secrets Operator that secret values come from."""

    kind: Literal["ClusterSecretStore", "SecretStore"] = "ClusterSecretStore"
    """One for the whole cluster, or one in the stack's namespace."""
    name: Annotated[str, Field(pattern=_NAME, max_length=253)] = "llmagentos"
    """Name of the store."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]*$")] | None = None
    """What a secret's name begins with in the store; the stack's name and a slash by default."""


class GitOps(Settings):
    """Where rendered files lie, and where secret values come from."""

    repository: Annotated[str, Field(pattern=r"^(https://|ssh://|git@|oci://)[^\s]+$")] | None = None
    """URL of the Git repository that Argo CD reads; without it no Application is rendered."""
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]*$")] = "main"
    """Branch, tag or commit that is followed."""
    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")] | None = None
    """Folder of the rendered files in that repository; ``deploy/<stack>`` by default."""
    flux_source: Annotated[str, Field(pattern=_NAME, max_length=253)] = "flux-system"
    """Name of Flux's GitRepository; the default is what ``flux bootstrap`` makes."""
    secret_store: SecretStore = SecretStore()
    """Where secret values come from; no rendered file holds one."""
