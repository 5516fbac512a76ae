"""Karpenter's AWS custom resource definitions, and Gateway API's at the version that a cluster stack has."""

from __future__ import annotations

from pathlib import Path

from components.aws.load_balancer_controller import GATEWAY_API_VERSION
from tests.go_definitions import Definitions

__all__ = ["VERSIONS", "definitions", "gateway_definitions"]

# The version of the chart that a cluster stack installs, and the next one.
VERSIONS = ("v1.14.1", "v1.15.0")


def definitions(version: str) -> list[Path]:
    """The files of EC2NodeClass and NodePool."""
    return Definitions(
        module="github.com/aws/karpenter-provider-aws", version=version, folder="pkg/apis/crds",
        names=("karpenter.k8s.aws_ec2nodeclasses.yaml", "karpenter.sh_nodepools.yaml"),
    ).files()  # fmt: skip


def gateway_definitions() -> list[Path]:
    """The files of GatewayClass, Gateway and HTTPRoute, of the standard channel."""
    kinds = ("gatewayclasses", "gateways", "httproutes")
    return Definitions(
        module="sigs.k8s.io/gateway-api", version=f"v{GATEWAY_API_VERSION}", folder="config/crd/standard",
        names=tuple(f"gateway.networking.k8s.io_{kind}.yaml" for kind in kinds),
    ).files()  # fmt: skip
