"""EksAddons: the parts of a cluster that EKS keeps: network, DNS, volumes, pod identities, metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components._aws import pod_role
from components._base import Component
from planner.plan import AwsPlan

__all__ = ["EksAddons", "EksAddonsArgs"]


@dataclass(frozen=True, kw_only=True)
class EksAddonsArgs:
    """What add-ons are given.

    Attributes:
        aws: account and region.
        cluster_name: the cluster, as an output of what makes it.
        names: which add-ons; those of one component are made side by side.
        versions: version by add-on; EKS takes its own choice for the others.
    """

    aws: AwsPlan
    cluster_name: pulumi.Input[str]
    names: Sequence[str]
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Identity:
    service_account: str
    role: str
    policy: str


# The network policy agent is off by default, and NetworkPolicies would be accepted and not enforced.
_VALUES: Mapping[str, Any] = {"vpc-cni": {"enableNetworkPolicy": "true"}}
_IDENTITIES = {
    "vpc-cni": _Identity(service_account="aws-node", role="vpc-cni", policy="AmazonEKS_CNI_Policy"),
    "aws-ebs-csi-driver": _Identity(
        service_account="ebs-csi-controller-sa", role="ebs-csi", policy="service-role/AmazonEBSCSIDriverPolicy"
    ),
}


class EksAddons(Component):
    """Add-ons of one cluster, each with its rights by Pod Identity, none by the nodes' role.

    What people changed by hand is overwritten: the stack file says how the cluster is.
    """

    addons: list[pulumi.Resource]

    def __init__(self, name: str, args: EksAddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self.addons = [self._addon(args, addon) for addon in args.names]
        self.register_outputs({})

    def _addon(self, args: EksAddonsArgs, addon: str) -> pulumi.Resource:
        more: dict[str, Any] = {}
        ready: list[Any] = []
        if addon in _VALUES:
            more["configuration_values"] = json.dumps(_VALUES[addon], sort_keys=True)
        if addon in args.versions:
            more["addon_version"] = args.versions[addon]
        if identity := _IDENTITIES.get(addon):
            role, ready = pod_role(
                self, addon, plan=args.aws, role_name=f"{args.aws.cluster_name}-{args.aws.region}-{identity.role}",
                namespace="kube-system", service_accounts=[identity.service_account], managed=[identity.policy],
                associate=False,
            )  # fmt: skip
            more["pod_identity_associations"] = [
                {"role_arn": role.arn, "service_account": identity.service_account}
            ]
        return aws.eks.Addon(
            addon,
            cluster_name=args.cluster_name,
            addon_name=addon,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            **more,
            opts=self.child(depends_on=ready),
        )
