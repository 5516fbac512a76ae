"""The stack file: its models, and ``parse``, which reports every fault of a file at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from planner.faults import Fault, UserFault
from planner.settings._base import SecretRef, cpu_cores, looks_like_secret, memory_gib
from planner.settings._faults import from_validation_error
from planner.settings._references import reference_faults
from planner.settings.applications import Application, ApplicationReplicas, Endpoint, Image, Resources
from planner.settings.builds import BUILDKIT_SCHEMES, BuilderTls, Builds
from planner.settings.gitops import GitOps, SecretStore
from planner.settings.hardware import Hardware, Sharing
from planner.settings.models import BUILTIN_TINY, Model, ModelReplicas, ModelSpread, Slo
from planner.settings.pools import GpuPool, Quota, Spot
from planner.settings.stack import Budget, NamespaceSettings, RegistrySettings, StackSettings
from planner.settings.traffic import Lengths, RequestHistory, Traffic

__all__ = [
    "BUILDKIT_SCHEMES",
    "BUILTIN_TINY",
    "Application",
    "ApplicationReplicas",
    "Budget",
    "BuilderTls",
    "Builds",
    "Endpoint",
    "GitOps",
    "GpuPool",
    "Hardware",
    "Image",
    "Lengths",
    "Model",
    "ModelReplicas",
    "ModelSpread",
    "NamespaceSettings",
    "Quota",
    "RegistrySettings",
    "RequestHistory",
    "Resources",
    "SecretRef",
    "SecretStore",
    "Sharing",
    "Slo",
    "Spot",
    "StackSettings",
    "Traffic",
    "cpu_cores",
    "looks_like_secret",
    "memory_gib",
    "parse",
]


def parse(raw: Any, *, where: str) -> StackSettings:
    """Check the value of ``llmagentos:stack`` and return it as settings.

    Args:
        raw: the value as YAML or Pulumi's configuration gives it.
        where: what to call the file in messages, e.g. ``Pulumi.dev.yaml``.

    Raises:
        UserFault: with one fault for everything that is wrong in the file.
    """
    if not isinstance(raw, Mapping):
        raise UserFault(
            Fault(
                what="`llmagentos:stack` must be a map", where=where,
                fix="write at least {target: local, applications: {llm-app: {image: {build: ./app}}}}",
            )
        )
    faults = reference_faults(raw, where=where)
    settings = None
    try:
        settings = StackSettings.model_validate(dict(raw))
    except ValidationError as error:
        faults = from_validation_error(error, root=StackSettings, where=where) + faults
    if faults or settings is None:
        raise UserFault(faults)
    return settings
