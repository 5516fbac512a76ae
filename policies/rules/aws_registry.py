"""ECR repositories: tags that cannot be moved, images that are scanned, layers that are encrypted with a key of one's
own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._assign import assign
from ._model import Resource
from ._rule import Check, Context, Rule, Violation, each_resource

__all__ = ["RULES"]

_DOCS = "https://docs.aws.amazon.com/securityhub/latest/userguide/ecr-controls.html"


def _immutable(repository: Resource, context: Context) -> Iterable[Violation]:
    node = repository.root.get("imageTagMutability")
    if node.text != "IMMUTABLE":
        yield Violation(path=node.path, message="tags of the repository can be moved to other images")


def _scanned(repository: Resource, context: Context) -> Iterable[Violation]:
    node = repository.root.get("imageScanningConfiguration", "scanOnPush")
    if node.flag is not True:
        yield Violation(path=node.path, message="pushed images are not scanned")


def _scan(repository: Resource, properties: Any) -> Mapping[str, Any] | None:
    if repository.type != _TYPE or repository.root.get("imageScanningConfiguration", "scanOnPush").flag is True:
        return None
    assign(properties, ("imageScanningConfiguration", "scanOnPush"), True)
    return properties


def _encrypted(repository: Resource, context: Context) -> Iterable[Violation]:
    node = repository.root.get("encryptionConfigurations")
    kinds = [element.get("encryptionType").text for element in node.elements()]
    if not any(kind in ("KMS", "KMS_DSSE") for kind in kinds):
        yield Violation(path=node.path, message="the repository is not encrypted with a KMS key")


_TYPE = "aws:ecr/repository:Repository"


def _rule(rule_id: str, title: str, why: str, fix: str, check: Check, control: str, **more: Any) -> Rule:
    return Rule(
        id=rule_id, title=title, why=why, fix=fix, checks=(check,), cells=each_resource(_TYPE), sources=(_DOCS,),
        controls=(f"aws-fsbp/{control}",), **more,
    )


RULES = (
    _rule(
        "ecr-immutable-tags", "ECR repositories have immutable tags.",
        "Whoever may push could replace a released image under the same name.",
        'set imageTagMutability: "IMMUTABLE"', _immutable, "ECR.2",
    ),
    _rule(
        "ecr-scan-on-push", "ECR repositories scan images when they are pushed.",
        "Known holes in base images otherwise reach the cluster unseen.",
        "set imageScanningConfiguration.scanOnPush: true", _scanned, "ECR.1", remediate=_scan,
    ),
    _rule(
        "ecr-encryption", "ECR repositories are encrypted with a KMS key.",
        "Access to the layers can then be withdrawn and audited through the key.",
        "add an encryptionConfiguration of type KMS", _encrypted, "ECR.5",
    ),
)
