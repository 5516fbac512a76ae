"""The deployer's policy allows every call that creates a stack, on what it is called on, and not much else."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable
from typing import Any

import pytest

from llmos import standins
from llmos.aws_actions import ACTIONS
from llmos.deployer import deployer_policy
from llmos.synth import Program
from tests.aws.calls import CALLS, calls_of
from tests.aws.reference import action
from tests.aws.stacks import plan, raw

# The IAM action of a call, where it is not called like it.
IAM_NAMES = {
    "CreateBudget": "budgets:ModifyBudget", "CreateNotification": "budgets:ModifyBudget",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration", "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
}  # fmt: skip
# Of an inline policy of a role, without white space.
LIMIT = 10_240


@pytest.fixture
def policy(name: str, programs: Callable[[str], Program]) -> dict[str, Any]:
    return deployer_policy(plan(raw(name), name), programs(name))


def test_every_call_that_creates_the_stack_is_allowed(
    name: str, programs: Callable[[str], Program], policy: dict[str, Any]
) -> None:
    allowed = {call for statement in policy["Statement"] for call in statement["Action"]}
    for resource in programs(name).resources:
        if resource.type.startswith("aws:"):
            for call in calls_of(resource.type.removeprefix("aws:"), resource.inputs):
                wanted = IAM_NAMES.get(call.operation, f"{call.service}:{call.operation}")
                assert wanted in allowed, resource.name


def test_what_has_a_name_is_allowed_by_that_name(
    name: str, programs: Callable[[str], Program], policy: dict[str, Any]
) -> None:
    create = {
        "ecr/repository:Repository": "ecr:CreateRepository", "iam/role:Role": "iam:CreateRole",
        "cloudwatch/eventRule:EventRule": "events:PutRule", "cloudwatch/logGroup:LogGroup": "logs:CreateLogGroup",
        "sqs/queue:Queue": "sqs:CreateQueue", "wafv2/webAcl:WebAcl": "wafv2:CreateWebACL",
        "s3/bucket:Bucket": "s3:CreateBucket", "sns/topic:Topic": "sns:CreateTopic",
    }  # fmt: skip
    where = raw(name)["aws"]
    found = 0
    for resource in programs(name).resources:
        kind = resource.type.removeprefix("aws:")
        if kind in create:
            arn = standins.outputs(resource.type, resource.name, resource.inputs, where)[1]["arn"]
            statements = [s for s in policy["Statement"] if create[kind] in s["Action"]]
            assert any(fnmatch.fnmatchcase(arn, pattern) for s in statements for pattern in s["Resource"]), arn
            found += 1
    assert found or name == "aws-staging"


def test_nobody_elses_roles_keys_or_repositories_can_be_changed(policy: dict[str, Any]) -> None:
    for statement in policy["Statement"]:
        for call in statement["Action"]:
            known = action(call)
            assert known, call
            if known.level not in ("List", "Read") and "*" in statement["Resource"]:
                assert statement["Condition"], call
            if call.startswith("iam:"):
                own = ("role/llmagentos-", "role/aws-service-role/")
                assert all(arn.split(":", 5)[5].startswith(own) for arn in statement["Resource"]), call


def test_no_action_is_a_wildcard_and_the_whole_fits_into_a_role(policy: dict[str, Any]) -> None:
    assert not [call for statement in policy["Statement"] for call in statement["Action"] if "*" in call]
    assert len(json.dumps(policy, separators=(",", ":"))) <= LIMIT


def test_every_type_that_the_program_makes_has_its_actions() -> None:
    assert ACTIONS.keys() == CALLS.keys()
    assert all(action(call) for calls in ACTIONS.values() for call in calls)
