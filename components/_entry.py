"""What every way into an application has, whatever stands in front of its Service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components._base import Component, Identity, meta
from components._kubernetes import KubernetesObject
from components._network import from_anywhere

__all__ = ["callers_policy", "entry_meta"]


def callers_policy(component: Component, identity: Identity, application: str, *, port: int) -> KubernetesObject:
    """NetworkPolicy that lets callers in to the port that the application's pods listen on."""
    return KubernetesObject(
        "networking.k8s.io/v1", "NetworkPolicy",
        f"{application}-ingress",
        metadata=meta(identity, f"{application}-ingress", "endpoint"),
        spec={
            "podSelector": {"matchLabels": identity.selector(application)},
            "policyTypes": ["Ingress"],
            "ingress": [from_anywhere(port)],
        },
        opts=component.child(),
    )


def entry_meta(
    identity: Identity, application: str, *, auth: str, annotations: Mapping[str, str]
) -> dict[str, Any]:
    """Metadata of the Service. How callers authenticate stands as a label, for people."""
    more = {"annotations": dict(annotations)} if annotations else {}
    metadata = meta(identity, application, "endpoint", **more)
    metadata["labels"]["llmagentos.dev/auth"] = auth
    return metadata
