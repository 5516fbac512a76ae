"""IAM without wildcards, and security groups that are not open to the world."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ._model import Resource
from ._node import Node
from ._rule import Context, Option, Rule, Violation, each_resource

__all__ = ["RULES", "statements"]

_POLICIES = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "aws:iam/role:Role": "assumeRolePolicy",
}
_ATTACHMENTS = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment", "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
)
_TOO_MUCH = ("/AdministratorAccess", "/PowerUserAccess", "/IAMFullAccess")
_READS = ("Describe", "List", "Get", "BatchGet", "BatchCheck")
_WORLD = ("0.0.0.0/0", "::/0")
_IAM = "https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html"


def statements(document: Node) -> Iterator[Mapping[str, Any]]:
    """The statements of a policy document, JSON text or a mapping; one that cannot be read counts as allowing all."""
    value = document.value
    if value is None:
        return
    try:
        content = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        content = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    found = content.get("Statement", []) if isinstance(content, Mapping) else []
    yield from (statement for statement in _listed(found) if isinstance(statement, Mapping))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _wildcards(policy: Resource, context: Context) -> Iterable[Violation]:
    if policy.type in _ATTACHMENTS:
        node = policy.root.get("policyArn")
        if (node.text or "").endswith(_TOO_MUCH):
            yield Violation(path=node.path, message="a policy with nearly all rights is attached")
        return
    document = policy.root.get(_POLICIES[policy.type])
    for number, statement in enumerate(statements(document)):
        if statement.get("Effect") != "Allow":
            continue
        for problem in _problems(statement):
            yield Violation(path=f"{document.path}: Statement[{number}]", message=problem)


def _problems(statement: Mapping[str, Any]) -> Iterator[str]:
    actions = [str(action) for action in _listed(statement.get("Action"))]
    if any(action == "*" or action.endswith(":*") for action in actions):
        yield "the statement allows every action of a service"
    if "NotAction" in statement or "NotResource" in statement:
        yield "the statement allows everything except what it lists"
    writes = [action for action in actions if not action.partition(":")[2].startswith(_READS)]
    token = [action for action in writes if action != "ecr:GetAuthorizationToken"]
    if (
        "*" in [str(resource) for resource in _listed(statement.get("Resource"))]
        and token
        and not statement.get("Condition")
    ):
        yield "the statement allows changes to every resource"
    principal = statement.get("Principal")
    anyone = principal == "*" or (isinstance(principal, Mapping) and "*" in _listed(principal.get("AWS")))
    if anyone and not statement.get("Condition"):
        yield "the statement lets everybody assume the role"


_GROUP = "aws:ec2/securityGroup:SecurityGroup"
_OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


def _open_to_world(group: Resource, context: Context) -> Iterable[Violation]:
    if group.type == _OLD_RULE and group.root.get("type").text != "ingress":
        return
    rules = list(group.root.get("ingress").elements()) if group.type == _GROUP else [group.root]
    for rule in rules:
        sources = [node.text for field in ("cidrBlocks", "ipv6CidrBlocks") for node in rule.get(field).elements()]
        sources += [rule.get(field).text for field in ("cidrIpv4", "cidrIpv6")]
        low, high = rule.get("fromPort").number, rule.get("toPort").number
        one_allowed = low is not None and low == high and low in context.config["ports"]
        if any(source in _WORLD for source in sources) and not one_allowed:
            yield Violation(path=rule.path, message="the security group admits every address on ports that are not "
            "allowed")


RULES = (
    Rule(
        id="iam-wildcards",
        title="IAM policies name actions and resources.",
        why="A wildcard hands a program, and whoever takes it over, rights that nobody thought of.",
        fix="list the actions that are needed on the resources that are meant",
        sources=(_IAM, "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html"),
        controls=("aws-fsbp/IAM.1", "aws-fsbp/IAM.21", "owasp-llm/LLM06:2025"),
        cells=each_resource(*_POLICIES, *_ATTACHMENTS),
        checks=(_wildcards,),
    ),
    Rule(
        id="security-group-world",
        title="Security groups admit the world on allowed ports only.",
        why="Ports of nodes, kubelets and engines that answer the internet are found by scanners within hours.",
        fix="name address ranges or other security groups as sources",
        sources=("https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html",),
        controls=("aws-fsbp/EC2.18", "aws-fsbp/EC2.19"),
        cells=each_resource(_GROUP, _OLD_RULE, _RULE),
        checks=(_open_to_world,),
        options={
            "ports": Option(
                schema={"type": "array", "items": {"type": "number"}},
                default=[443],
                about="ports that the world may reach",
            )
        },
    ),
)
