"""Namespace: the fence around a stack."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._base import Component, Identity, meta
from components._kubernetes import KubernetesObject
from planner.plan import NamespacePlan

__all__ = ["Namespace", "NamespaceArgs"]

# The Pod Security Standard is pinned by name of the level, and to the cluster's own version, so that an upgraded
# cluster applies its newest rules.
_POD_SECURITY = {
    f"pod-security.kubernetes.io/{mode}{suffix}": value
    for mode in ("enforce", "audit", "warn")
    for suffix, value in (("", "restricted"), ("-version", "latest"))
}
ENGINE_LABEL = "llmagentos.dev/engine"
# What every pod of a stack carries, and no other.
_OWN_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/part-of")


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """What a namespace is given.

    Attributes:
        identity: stack and namespace.
        space: the plan's decisions. Where it says not to create the namespace, an existing one is left as it is and
            only given quota, limits and policy, under names of the stack's own; without a fence only a policy that
            concerns the stack's own pods.
    """

    identity: Identity
    space: NamespacePlan


class Namespace(Component):
    """The namespace with Pod Security labels, a quota, default limits and a NetworkPolicy that denies everything.

    Outputs:
        name: the namespace's name.
    """

    name: pulumi.Output[str]

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        identity, space = args.identity, args.space
        fence = self.child()
        if space.create:
            guarded = identity.guarded("Namespace", identity.namespace)
            labels = {**identity.labels(name, "namespace"), **_POD_SECURITY, ENGINE_LABEL: "pulumi"}
            namespace = KubernetesObject(
                "v1", "Namespace",
                name,
                metadata={"name": identity.namespace, "labels": labels},
                # Deleting a namespace deletes all that is in it, also what others put there.
                opts=self.child(protect=guarded, retain_on_delete=guarded),
            )
            fence = self.child(depends_on=[namespace])
        self._deny(name, args, fence)
        if space.fence:
            self._limit(name, args, fence)
        self.name = pulumi.Output.from_input(identity.namespace)
        self.register_outputs({"name": self.name})

    def _deny(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions) -> None:
        """A policy that denies everything to all pods, or to the stack's own where somebody else owns the fence."""
        identity = args.identity
        own = {"matchLabels": {key: identity.labels(name, "namespace")[key] for key in _OWN_LABELS}}
        KubernetesObject(
            "networking.k8s.io/v1", "NetworkPolicy",
            f"{name}-default-deny",
            metadata=meta(identity, _fence_name(args, "default-deny"), "namespace"),
            spec={"podSelector": {} if args.space.fence else own, "policyTypes": ["Ingress", "Egress"]},
            opts=opts,
        )

    def _limit(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions) -> None:
        identity, space = args.identity, args.space
        KubernetesObject(
            "v1", "ResourceQuota",
            f"{name}-quota",
            metadata=meta(identity, _fence_name(args, "stack"), "namespace"),
            spec={
                "hard": {
                    "requests.cpu": f"{space.quota_cpu_cores:g}",
                    "requests.memory": f"{space.quota_memory_gib:g}Gi",
                    "requests.nvidia.com/gpu": str(space.quota_gpus),
                    **{f"requests.{resource}": str(count) for resource, count in space.quota_slices.items()},
                    "pods": str(space.quota_pods),
                }
            },
            opts=opts,
        )
        KubernetesObject(
            "v1", "LimitRange",
            f"{name}-limits",
            metadata=meta(identity, _fence_name(args, "stack"), "namespace"),
            spec={
                "limits": [
                    {
                        # For pods that an operator starts by hand; the quota refuses pods without requests.
                        "type": "Container",
                        "default": {"cpu": "500m", "memory": "512Mi"},
                        "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
                    }
                ]
            },
            opts=opts,
        )


def _fence_name(args: NamespaceArgs, name: str) -> str:
    """In a namespace that others made, an object of a common name may be theirs, or another stack's."""
    return name if args.space.create else f"llmagentos-{args.identity.stack}-{name}"
