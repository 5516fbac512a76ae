"""Every AWS resource of every stack is a call that the service's own model accepts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmos.synth import Program
from tests.aws.calls import Call, calls_of
from tests.aws.models import problems


def kinds(found: Program) -> list[tuple[str, str, dict]]:
    return [
        (resource.type.removeprefix("aws:"), resource.name, resource.inputs)
        for resource in found.resources if resource.type.startswith("aws:")
    ]  # fmt: skip


def test_every_call_is_valid(name: str, programs: Callable[[str], Program]) -> None:
    found = {
        f"{kind} {resource}: {call.operation}": problems(call)
        for kind, resource, inputs in kinds(programs(name))
        for call in calls_of(kind, inputs)
    }
    assert found and {key: value for key, value in found.items() if value} == {}


@pytest.mark.parametrize(("call", "words"), [
    (Call(service="ecr", operation="CreateRepository", params={}), "Missing required parameter"),
    (Call(service="ecr", operation="CreateRepository", params={"repositoryName": "A b"}), "does not match"),
    (Call(service="ecr", operation="CreateRepository",
          params={"repositoryName": "ab", "imageTagMutability": "FROZEN"}), "none of MUTABLE"),
    (Call(service="ecr", operation="CreatePullThroughCacheRule",
          params={"ecrRepositoryPrefix": "p" * 40, "upstreamRegistryUrl": "quay.io"}), "is more than 30"),
    (Call(service="logs", operation="CreateLogGroup", params={"logGroupName": "a", "kms": "b"}), "nknown"),
    (Call(service="iam", operation="CreateRole",
          params={"RoleName": "r" * 65, "AssumeRolePolicyDocument": "{}"}), "is more than 64"),
    (Call(service="eks", operation="CreateAddon", params={"clusterName": "c", "addonName": 1}), "Invalid type"),
    (Call(service="sqs", operation="CreateQueue", params={"QueueName": 5}), "Invalid type"),
])  # fmt: skip
def test_a_wrong_call_would_be_noticed(call: Call, words: str) -> None:
    assert any(words in problem for problem in problems(call))
