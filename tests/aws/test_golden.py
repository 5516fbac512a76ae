"""Every stack of target aws, held against files that people review, and run in preview as well.

After a change that is meant: ``python3 -m llmos test -- tests/aws/test_golden.py --update-golden``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from llmos.judging import judge
from llmos.synth import Program
from tests.aws.golden_files import check
from tests.aws.stacks import EXAMPLE_OF, program, raw


def test_urns(name: str, programs: Callable[[str], Program], request: pytest.FixtureRequest) -> None:
    """A URN that changes without an alias makes Pulumi create a thing again, under a name that is taken."""
    check(f"{name}-urns.txt", "".join(f"{found.urn}\n" for found in programs(name).resources), request)


def test_resources(name: str, programs: Callable[[str], Program], request: pytest.FixtureRequest) -> None:
    """Inputs of everything on AWS, and of Kubernetes objects that other targets do not have."""
    known = ("Deployment", "HorizontalPodAutoscaler", "LimitRange", "Namespace", "PodDisruptionBudget", "ResourceQuota",
             "Secret", "ServiceAccount", "Image")  # fmt: skip
    def documents(stack: str) -> list[dict[str, Any]]:
        return [
            {"type": found.type, "name": found.name, "inputs": found.inputs, **found.options}
            for found in programs(stack).resources
            if found.custom and found.type.rpartition(":")[2] not in known and "providers" not in found.type
        ]

    wanted = documents(name)
    if example := EXAMPLE_OF.get(name):
        # Only what is not in the example's file, whatever hashes of the stack's name are part of names.
        same = [_bare(document, example) for document in documents(example)]
        wanted = [document for document in wanted if _bare(document, name) not in same]
    check(f"{name}.yaml", yaml.safe_dump_all(wanted, sort_keys=True, width=120), request)


def _bare(document: dict[str, Any], stack: str) -> Any:
    text = re.sub(r"-[0-9a-f]{10}\b", "-hash", json.dumps(document).replace(stack, "stack"))
    return json.loads(text)


def test_a_preview_registers_the_same_resources(name: str, programs: Callable[[str], Program]) -> None:
    unknown = program(raw(name), name, preview=True)
    assert [found.urn for found in unknown.resources] == [found.urn for found in programs(name).resources]


def test_every_resource_names_its_provider(name: str, programs: Callable[[str], Program]) -> None:
    for found in programs(name).resources:
        if found.custom and not found.type.startswith("pulumi:"):
            assert found.provider, found.urn


def test_the_policies_of_its_environment_pass(name: str, programs: Callable[[str], Program]) -> None:
    found = judge(programs(name), environment=raw(name)["environment"], preview=False)
    # A company's public key is nothing that an example can have.
    rows = [row for row in found if row.level == "mandatory" and row.rule != "image-signature"]
    assert [f"{row.rule}: {row.object} {row.path}" for row in rows] == []


def test_a_preview_leaves_no_rule_of_aws_unchecked(name: str) -> None:
    """What a policy cannot check at preview is found after the money is spent."""
    unknown = program(raw(name), name, preview=True)
    found = judge(unknown, environment=raw(name)["environment"], preview=True)
    of_aws = ("bucket-", "ecr-", "eks-", "encrypted-", "gpu-instance", "iam-", "imds-", "security-group")
    assert [f"{row.rule}: {row.object} {row.path}" for row in found if row.rule.startswith(of_aws)] == []
