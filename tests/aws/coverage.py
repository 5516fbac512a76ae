"""Which check covers which resource, read off the golden files, the tables of calls and readers, and the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from tests.aws.calls import CALLS, calls_of, documented
from tests.aws.golden_files import GOLDEN
from tests.aws.readback import READERS
from tests.aws.stacks import STACKS
from tests.aws.test_moto import NOT_IN_MOTO, OTHERWISE_IN_MOTO
from tests.aws.transcribed_crds import transcribed
from tests.support import ROOT

__all__ = ["END", "START", "UNVERIFIED", "kinds", "table"]

START, END = "<!-- what was checked -->", "<!-- /what was checked -->"
_HEAD = (
    "| resource | in | golden, preview | model | moto: made, read back | IAM | a rule is about it | "
    "what only an account tells |"
)
_USUAL = "timing, quotas"
UNVERIFIED = {
    "aws:acm/certificate": "validation by DNS",
    "aws:acm/certificateValidation": "the wait for the proof",
    "aws:amp/scraper": "scraping",
    "aws:budgets/budget": "that the cost tag is active",
    "aws:ec2/launchTemplate": "that a node boots with it; that the reservation has room",
    "aws:ec2/vpcEndpoint": "that its policy admits image pulls",
    "aws:ecr/pullThroughCacheRule": "a pull through it",
    "aws:ecr/repositoryCreationTemplate": "a pull through the cache",
    "aws:eks/accessEntry": "the rights it gives in the cluster",
    "aws:eks/addon": "that the pinned versions exist in the region",
    "aws:eks/cluster": "the Kubernetes version, start of the control plane, EKS Auto Mode's own parts",
    "aws:eks/nodeGroup": "image and capacity",
    "aws:eks/podIdentityAssociation": "that a pod gets the role",
    "aws:grafana/workspace": "sign-in",
    "aws:iam/role": "that it is assumed",
    "aws:iam/rolePolicy": "that it is enough for the controllers",
    "aws:route53/record": "resolution",
    "aws:s3/bucketPolicy": "that the fill and the fetch pass it",
    "aws:sns/topicSubscription": "the confirmation",
    "aws:wafv2/webAcl": "false positives of the managed rules",
    "eks.amazonaws.com NodeClass": "that EKS takes it; DNS under NetworkPolicies",
    "gateway.k8s.aws LoadBalancerConfiguration": "the load balancer that the controller makes",
    "gateway.k8s.aws TargetGroupConfiguration": "the targets that the controller makes",
    "gateway.networking.k8s.io Gateway": "the load balancer that the controller makes",
    "gateway.networking.k8s.io GatewayClass": "that the controller accepts it",
    "gateway.networking.k8s.io HTTPRoute": "that the controller accepts it",
    "helm.sh Release": "the charts' own values",
    "karpenter.k8s.aws EC2NodeClass": "that nodes appear, join and leave",
    "karpenter.sh NodePool": "that nodes appear, join and leave",
    "yaml ConfigFile": "the download of Gateway API's types",
}
# Checked by their own modules' definitions; others by what was written down from documentation.
_OF_MODULES = ("gateway.networking.k8s.io", "karpenter.k8s.aws", "karpenter.sh")
_NO_OBJECTS_OF_AWS = re.compile(r"^kubernetes:(core|apps|batch|networking|policy|autoscaling|storage|monitoring)[./]")


@cache
def _urns() -> dict[str, set[str]]:
    """Types by stack; those of combinations of settings under the name ``settings``."""
    found = {name: _types((GOLDEN / f"{name}-urns.txt").read_text(encoding="utf-8")) for name in STACKS}
    pairs = (file.read_text(encoding="utf-8") for file in (GOLDEN / "pairwise").glob("*.txt"))
    added = (line for text in pairs for line in text.splitlines() if line.startswith("+"))
    return {**found, "settings": _types("\n".join(added))}


def _types(text: str) -> set[str]:
    last = (line.split("::")[-2].rpartition("$")[2] for line in text.splitlines() if "::" in line)
    return {kind for kind in last if kind.startswith(("aws:", "kubernetes:")) and not _NO_OBJECTS_OF_AWS.match(kind)}


def kinds() -> list[str]:
    """All types that any stack or combination has."""
    return sorted(set().union(*_urns().values()))


def table() -> str:
    """The table of docs/aws.md."""
    rows = [_HEAD, "|---" * 8 + "|", *(_row(kind) for kind in kinds())]
    return "\n".join(rows) + "\n"


def _row(kind: str) -> str:
    where = [name for name, types in _urns().items() if kind in types]
    stacks = [name for name in where if name != "settings"] or ["settings"]
    name = _name(kind)
    cells = [f"`{name}`", _listed(stacks), "yes" if stacks != ["settings"] else "pairs", *_checks(kind),
             "yes" if _has_rule(kind) else "–", UNVERIFIED.get(name, _USUAL)]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _listed(stacks: list[str]) -> str:
    workloads = [name for name in STACKS if name.startswith("aws-")]
    if set(workloads) <= set(stacks):
        stacks = [*(name for name in stacks if name not in workloads), "all workloads"]
    return ", ".join(stacks)


def _name(kind: str) -> str:
    if kind.startswith("aws:"):
        return kind.rpartition(":")[0]
    _, group, short = kind.split(":")
    return f"{group.partition('/')[0]} {short}"


def _checks(kind: str) -> Iterator[str]:
    """Model, moto and IAM."""
    if kind.startswith("aws:"):
        bare = kind.removeprefix("aws:")
        yield "yes" if bare in CALLS else "no"
        yield _moto(bare)
        yield "yes" if bare in documented() else "–"
        return
    group = _name(kind).partition(" ")[0]
    own = {(item["spec"]["group"], item["spec"]["names"]["kind"]) for item in transcribed()}
    yield "its own schema" if group in _OF_MODULES else "documented fields" if (group, kind.rpartition(":")[2]) in own \
        else "–"
    yield from ("–", "–")


def _moto(bare: str) -> str:
    asked = [call.operation for inputs in _inputs().get(f"aws:{bare}", []) for call in calls_of(bare, inputs)]
    if not asked:
        return "–" if _inputs().get(f"aws:{bare}") else "no"
    if set(asked) <= NOT_IN_MOTO | OTHERWISE_IN_MOTO:
        return "no"
    return "yes" if bare in READERS else "made"


@cache
def _inputs() -> dict[str, list[dict[str, Any]]]:
    """Inputs of everything in the golden files, by type: those are the stacks that moto is asked to make."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in STACKS:
        for document in yaml.safe_load_all((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")):
            found.setdefault(document["type"], []).append(document["inputs"])
    return found


@cache
def _rules() -> str:
    return "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "policies" / "rules").glob("*.py")))


def _has_rule(kind: str) -> bool:
    if kind.startswith("aws:"):
        return bool(re.search(rf'"{re.escape(kind.rpartition(":")[0])}(V2)?[:"]', _rules()))
    return f'"{kind.rpartition(":")[2]}"' in _rules()
