"""NetworkPolicies: the switch by which EKS Auto Mode enforces them."""

from __future__ import annotations

import pulumi

from components._base import Component
from components._kubernetes import KubernetesObject

__all__ = ["NetworkPolicies"]


class NetworkPolicies(Component):
    """A ConfigMap that EKS reads. Without it NetworkPolicies are accepted and not enforced; elsewhere the network
    add-on has a setting for it.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        KubernetesObject(
            "v1", "ConfigMap", name,
            metadata={"name": "amazon-vpc-cni", "namespace": "kube-system"},
            data={"enable-network-policy-controller": "true"},
            opts=self.child(),
        )
        self.register_outputs({})
