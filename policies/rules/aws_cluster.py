"""EKS clusters: who reaches the API server, whether secrets are encrypted, what is recorded."""

from __future__ import annotations

from collections.abc import Iterable

from ._model import Resource
from ._rule import Check, Context, Option, Rule, Violation, each_resource

__all__ = ["RULES"]

_DOCS = "https://docs.aws.amazon.com/securityhub/latest/userguide/eks-controls.html"
_WORLD = ("0.0.0.0/0", "::/0")


def _endpoint(cluster: Resource, context: Context) -> Iterable[Violation]:
    config = cluster.root.get("vpcConfig")
    if config.get("endpointPrivateAccess").flag is not True:
        path = config.get("endpointPrivateAccess").path
        yield Violation(path=path, message="nodes reach the API server over its public address", fix="set it to true")
    if config.get("endpointPublicAccess").flag is False:
        return
    ranges = config.get("publicAccessCidrs")
    cidrs = [node.text for node in ranges.elements()]
    if not cidrs or any(cidr in _WORLD for cidr in cidrs):
        yield Violation(path=ranges.path, message="the API server's public endpoint admits every address")


def _secrets(cluster: Resource, context: Context) -> Iterable[Violation]:
    node = cluster.root.get("encryptionConfig")
    if "secrets" not in [resource.text for resource in node.get("resources").elements()]:
        yield Violation(path=node.path, message="Kubernetes Secrets are not encrypted with a KMS key")


def _logs(cluster: Resource, context: Context) -> Iterable[Violation]:
    node = cluster.root.get("enabledClusterLogTypes")
    missing = sorted(set(context.config["types"]) - {element.text for element in node.elements()})
    if missing:
        yield Violation(path=node.path, message=f"these control plane logs are off: {', '.join(missing)}")


def _rule(
    rule_id: str, title: str, why: str, fix: str, check: Check, control: str, options: dict[str, Option] | None = None
) -> Rule:
    return Rule(
        id=rule_id, title=title, why=why, fix=fix, checks=(check,), cells=each_resource("aws:eks/cluster:Cluster"),
        sources=(_DOCS,), controls=(f"aws-fsbp/{control}",), options=options or {},
    )


RULES = (
    _rule(
        "eks-endpoint", "The API server of an EKS cluster is not open to the internet.",
        "Every hole in the API server, and every leaked credential, could then be used from anywhere.",
        "set endpointPublicAccess: false, or list publicAccessCidrs", _endpoint, "EKS.1",
    ),
    _rule(
        "eks-secrets-encryption", "Secrets of an EKS cluster are encrypted with a KMS key.",
        "A copy of etcd would otherwise give away tokens and API keys.",
        "add encryptionConfig with resources [secrets] and a key", _secrets, "EKS.3",
    ),
    _rule(
        "eks-audit-logs", "An EKS cluster keeps its audit log.",
        "Without it nobody can say who read a secret or started a pod.",
        "add the types to enabledClusterLogTypes", _logs, "EKS.8",
        {"types": Option(
            schema={"type": "array", "items": {"type": "string"}}, default=["audit", "authenticator"],
            about="control plane logs that must be on",
        )},
    ),
)
