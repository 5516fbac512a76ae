"""Kubernetes objects as Pulumi resources, registered exactly as the SDK's classes register them.

``pulumi_kubernetes`` loads every class of an API group, with the types of all its fields, when the first one is used:
0.35 s for the five groups of a small stack, half of what the whole program takes, in every preview. The components
write specifications as plain dictionaries and need none of it.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pulumi

__all__ = ["KubernetesObject"]

# What the engine must keep as secret even where the provider returns it in plain; as the SDK has it.
_SECRET_OUTPUTS = {"Secret": ["data", "stringData"]}


class KubernetesObject(pulumi.CustomResource):
    """One object.

    Args:
        api_version: as in a manifest, e.g. ``v1``, ``apps/v1`` or ``karpenter.sh/v1``.
        kind: e.g. ``Deployment``.
        name: logical name.
        fields: everything else of the manifest, as it stands there: ``metadata``, ``spec``, ``stringData``.
        opts: the resource's options.

    Outputs:
        status: what controllers wrote into it, as it stands there; unknown until the object exists.
    """

    status: pulumi.Output[Any]

    def __init__(
        self, api_version: str, kind: str, name: str, *, opts: pulumi.ResourceOptions | None = None, **fields: Any
    ) -> None:
        # The types of the core group carry a name that the group itself does not have.
        group = api_version if "/" in api_version else f"core/{api_version}"
        defaults = pulumi.ResourceOptions(
            version=importlib.metadata.version("pulumi-kubernetes"),
            additional_secret_outputs=_SECRET_OUTPUTS.get(kind),
        )
        super().__init__(
            f"kubernetes:{group}:{kind}", name, {"apiVersion": api_version, "kind": kind, "status": None, **fields},
            pulumi.ResourceOptions.merge(defaults, opts),
        )  # fmt: skip
