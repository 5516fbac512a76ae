"""Karpenter's AWS custom resource definitions."""

from __future__ import annotations

from pathlib import Path

from tests.go_definitions import Definitions

__all__ = ["VERSIONS", "definitions"]

# The version of the chart that a cluster stack installs, and the next one.
VERSIONS = ("v1.14.1", "v1.15.0")


def definitions(version: str) -> list[Path]:
    """The files of EC2NodeClass and NodePool."""
    return Definitions(
        module="github.com/aws/karpenter-provider-aws", version=version, folder="pkg/apis/crds",
        names=("karpenter.k8s.aws_ec2nodeclasses.yaml", "karpenter.sh_nodepools.yaml"),
    ).files()  # fmt: skip
