"""IAM documents: actions that exist, on the resources that they take, tied to what is the stack's own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmos.synth import Program
from tests.aws.calls import documents
from tests.aws.reference import action
from tests.aws.stacks import of_kind

Document = dict[str, Any]
# Of IAM (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html) and KMS, in characters without
# white space.
LIMITS = {"identity": 10_240, "trust": 2_048, "resource": 20_480}
# The reference is older than the documentation of ECR, which grants this on repositories
# (https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html).
NEWER = {"ecr:BatchImportUpstreamImage"}


@pytest.fixture
def found(name: str, programs: Callable[[str], Program]) -> list[tuple[str, str, Document]]:
    return [
        (resource.name, part, document)
        for resource in programs(name).resources if resource.type.startswith("aws:")
        for part, document in documents(resource.type.removeprefix("aws:"), resource.inputs)
    ]  # fmt: skip


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(document: Document) -> Iterator[Document]:
    return (statement for statement in document["Statement"] if statement["Effect"] == "Allow")


def test_documents_are_within_the_limits_of_length(found: list[tuple[str, str, Document]]) -> None:
    for name, part, document in found:
        assert len(json.dumps(document, separators=(",", ":"))) <= LIMITS[part], name


def test_every_action_exists_and_takes_the_conditions_it_is_given(found: list[tuple[str, str, Document]]) -> None:
    """A condition that a service does not evaluate never holds, and what it should narrow is refused altogether."""
    for name, part, document in found:
        for statement in allowed(document) if part == "identity" else ():
            keys = [key for test in statement.get("Condition", {}).values() for key in test]
            for call in statement["Action"]:
                known = action(call)
                assert known, f"{name}: {call}"
                assert [key for key in keys if not known.takes_condition(key)] == [], f"{name}: {call}"


def test_no_action_is_a_wildcard(found: list[tuple[str, str, Document]]) -> None:
    for name, part, document in found:
        for statement in allowed(document):
            actions = listed(statement["Action"])
            if part == "resource" and statement.get("Sid") == "Account":
                assert actions == ["kms:*"] and statement["Principal"]["AWS"].endswith(":root")
            else:
                # The documentation of KMS gives the two families of calls in this form.
                families = {"kms:GenerateDataKey*", "kms:ReEncrypt*"}
                assert [call for call in set(actions) - families if "*" in call] == [], name


def matches(pattern: str, arn: str) -> bool:
    """Whether a resource of a policy can stand for ARNs of this pattern, both with wildcards."""

    def parts(text: str) -> tuple[str, str]:
        fields = re.sub(r"\$\{[^}]*\}", "*", text).split(":", 5)
        return fields[2], re.split(r"[/:]", fields[5])[0]

    service, kind = parts(pattern)
    return arn == "*" or ((parts(arn)[0] == service and "*" in (kind, parts(arn)[1])) or parts(arn) == (service, kind))


def test_actions_are_allowed_on_the_resources_that_they_take(found: list[tuple[str, str, Document]]) -> None:
    """Missing ones fail when the controller calls; too many are more rights than anybody meant."""
    for name, part, document in found:
        given: dict[str, set[str]] = {}
        for statement in allowed(document) if part == "identity" else ():
            for call in statement["Action"]:
                given.setdefault(call, set()).update(statement["Resource"])
        for call, resources in given.items():
            known = action(call)
            assert known
            missing = [pattern for pattern in known.required if not any(matches(pattern, arn) for arn in resources)]
            assert missing == [], f"{name}: {call}"
            if known.required:
                assert "*" not in resources, f"{name}: {call} on everything"
            elif not known.known and call not in NEWER:
                assert resources == {"*"}, f"{name}: {call} knows no resources, and would never be allowed"


def test_rights_on_everything_are_reads_or_have_a_condition(found: list[tuple[str, str, Document]]) -> None:
    for name, part, document in found:
        for statement in allowed(document) if part == "identity" else ():
            if "*" in statement["Resource"] and not statement.get("Condition"):
                levels = {known.level for call in statement["Action"] if (known := action(call))}
                assert levels <= {"List", "Read"}, f"{name}: {statement['Sid']}"


def test_resources_are_of_this_account_and_region(found: list[tuple[str, str, Document]]) -> None:
    for name, part, document in found:
        for statement in allowed(document) if part == "identity" else ():
            for arn in statement["Resource"]:
                if arn != "*":
                    _, _, service, region, account, _ = arn.split(":", 5)
                    assert region in ("us-east-1", "") and account in ("123456789012", ""), f"{name}: {arn}"
                    assert region or service in ("iam", "s3"), f"{name}: {arn}"


def test_roles_are_assumed_by_one_service_and_pods_roles_by_one_service_account(
    found: list[tuple[str, str, Document]],
) -> None:
    for name, part, document in found:
        if part != "trust":
            continue
        (statement,) = document["Statement"]
        service = statement["Principal"]["Service"]
        if service == "pods.eks.amazonaws.com":
            tags = statement["Condition"]["StringEquals"]
            assert set(tags) == {
                f"aws:RequestTag/{tag}"
                for tag in ("eks-cluster-name", "kubernetes-namespace", "kubernetes-service-account")
            }
            assert not any("*" in value for value in tags.values())
        else:
            assert isinstance(service, str) and service.endswith(".amazonaws.com"), name


def test_resources_admit_nobody_in_particular_to_nothing(found: list[tuple[str, str, Document]]) -> None:
    for name, part, document in found:
        for statement in allowed(document) if part == "resource" else ():
            principal = statement["Principal"]
            assert principal != "*" and "*" not in listed(principal.get("AWS", "")), name
            if "Service" in principal:
                assert statement.get("Condition"), f"{name}: a service acts for this account only"


def test_the_role_of_a_pod_is_the_one_that_its_service_account_gets(programs: Callable[[str], Program]) -> None:
    found = programs("cluster")
    roles = [role.inputs for role in of_kind(found, "Role").values()]
    trusts = {role["name"]: json.loads(role["assumeRolePolicy"]) for role in roles}
    pairs = [
        (identity.inputs["roleArn"], identity.inputs["serviceAccount"])
        for identity in of_kind(found, "PodIdentityAssociation").values()
    ]
    pairs += [
        (identity["roleArn"], identity["serviceAccount"])
        for addon in of_kind(found, "Addon").values()
        for identity in addon.inputs.get("podIdentityAssociations", [])
    ]
    assert len(pairs) >= 4
    for arn, account in pairs:
        condition = trusts[arn.rpartition("/")[2]]["Statement"][0]["Condition"]["StringEquals"]
        assert condition["aws:RequestTag/kubernetes-service-account"] == account
