"""Every call that moto implements is made against its server, in the order of dependencies, and what it stored is read
back. The account and everything in it are moto's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from llmos.synth import Program, Resource
from tests.aws.calls import SELF, calls_of
from tests.aws.readback import READERS
from tests.aws.server import aws_server
from tests.aws.stacks import raw

NOT_IN_MOTO = {
    "AssociateAccessPolicy", "CreateAccessEntry", "CreateAddon", "CreatePodIdentityAssociation",
    "CreatePullThroughCacheRule", "CreateRepositoryCreationTemplate", "UpdateAddon",
}  # fmt: skip
# The default group of AWS admits itself; moto's admits nobody, so there is no such rule to take away.
OTHERWISE_IN_MOTO = {"RevokeSecurityGroupIngress"}
# Which part of the first answer is the id that other resources refer to.
MADE = {
    "AllocateAddress": ("AllocationId",), "AuthorizeSecurityGroupIngress": (), "CreateFlowLogs": (),
    "CreateInternetGateway": ("InternetGateway", "InternetGatewayId"), "CreateKey": ("KeyMetadata", "KeyId"),
    "CreateLaunchTemplate": ("LaunchTemplate", "LaunchTemplateId"), "CreateNatGateway": ("NatGateway", "NatGatewayId"),
    "CreateQueue": ("QueueUrl",), "CreateRouteTable": ("RouteTable", "RouteTableId"),
    "CreateSecurityGroup": ("GroupId",), "CreateSubnet": ("Subnet", "SubnetId"), "CreateVpc": ("Vpc", "VpcId"),
    "RequestCertificate": ("CertificateArn",),
}  # fmt: skip


class Account:
    """moto's account, and the ids that it gave to what the program had stand-ins for."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.ids: dict[str, str] = {}
        self.passed_over: set[str] = set()

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self._url, region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", config=Config(retries={"max_attempts": 0}),
        )  # fmt: skip

    def real(self, value: Any) -> Any:
        """The value with moto's ids in place of stand-ins."""
        text = json.dumps(value)
        for standin, found in self.ids.items():
            text = text.replace(standin, found)
        return json.loads(text)

    def make(self, resource: Resource) -> None:
        kind = resource.type.removeprefix("aws:")
        self.ids.pop(SELF, None)
        if kind == "ec2/defaultSecurityGroup:DefaultSecurityGroup":
            # The one resource that is there already: the provider takes it over.
            self.ids[SELF] = self._default_group(self.real(resource.inputs["vpcId"]))
        for call in calls_of(kind, resource.inputs):
            if call.operation in NOT_IN_MOTO | OTHERWISE_IN_MOTO:
                self.passed_over.add(call.operation)
                continue
            client = self.client(call.service)
            answer = getattr(client, _method(client, call.operation))(**self.real(call.params))
            self._note(resource, call.operation, answer)

    def _default_group(self, vpc: str) -> str:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
        (found,) = self.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
        return str(found["GroupId"])

    def _note(self, resource: Resource, operation: str, answer: Any) -> None:
        found = answer
        for key in MADE.get(operation, ()):
            found = found[key]
        if MADE.get(operation):
            self.ids[SELF] = found
            for standin in standins_of(resource):
                self.ids[standin] = found


def _method(client: Any, operation: str) -> str:
    return next(name for name, found in client.meta.method_to_api_mapping.items() if found == operation)


def standins_of(resource: Resource) -> list[str]:
    """The ids under which other resources know this one."""
    from llmos import standins

    where = raw("cluster")["aws"]
    found, more = standins.outputs(resource.type, resource.name, resource.inputs, where)
    if resource.type == "aws:acm/certificate:Certificate":
        return [more["arn"]]
    return [found]


def ordered(found: Program) -> list[Resource]:
    """Resources of AWS, each after what it depends on."""
    mine = {resource.urn: resource for resource in found.resources if resource.type.startswith("aws:")}
    done: dict[str, Resource] = {}

    def visit(urn: str) -> None:
        if urn in mine and urn not in done:
            for needed in mine[urn].dependencies:
                visit(needed)
            done[urn] = mine[urn]

    for urn in mine:
        visit(urn)
    return list(done.values())


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    # Policies of AWS itself exist then, as in a real account, and an attached one that does not is refused.
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    with aws_server() as url:
        yield Account(url)


def test_what_is_created_is_what_is_stored(
    name: str, programs: Callable[[str], Program], account: Account
) -> None:
    found = ordered(programs(name))
    zone = account.client("route53").create_hosted_zone(Name="example.com", CallerReference="test")["HostedZone"]
    account.ids["Z0123456789EXAMPLE"] = zone["Id"].rpartition("/")[2]
    if "cluster" not in raw(name):
        # Of another stack.
        account.client("eks").create_cluster(name="llmagentos", roleArn="arn:aws:iam::123456789012:role/control",
                                             resourcesVpcConfig={"subnetIds": ["subnet-0"]})  # fmt: skip
    for resource in found:
        account.make(resource)
    compared = 0
    for resource in found:
        kind = resource.type.removeprefix("aws:")
        if kind in READERS:
            for what, expected, stored in READERS[kind](account, account.real(resource.inputs)):
                assert stored == expected, f"{resource.name}: {what}"
                compared += 1
    assert compared > len(found) / 2
    if name == "cluster":
        assert account.passed_over == NOT_IN_MOTO | OTHERWISE_IN_MOTO


def test_a_policy_that_aws_does_not_keep_would_be_noticed(account: Account) -> None:
    client = account.client("iam")
    client.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    with pytest.raises(ClientError, match="NoSuchEntity"):
        client.attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/AmazonEKSWorkerNodesPolicy")


def test_the_list_of_what_moto_lacks_is_current(account: Account) -> None:
    calls = {
        "eks": {
            "associate_access_policy": {"clusterName": "c", "principalArn": "a", "policyArn": "p",
                                        "accessScope": {"type": "cluster"}},
            "create_access_entry": {"clusterName": "c", "principalArn": "a"},
            "create_addon": {"clusterName": "c", "addonName": "a"},
            "update_addon": {"clusterName": "c", "addonName": "a"},
            "create_pod_identity_association": {"clusterName": "c", "namespace": "n", "serviceAccount": "s",
                                                "roleArn": "r"},
        },
        "ecr": {
            "create_pull_through_cache_rule": {"ecrRepositoryPrefix": "ab", "upstreamRegistryUrl": "quay.io"},
            "create_repository_creation_template": {"prefix": "ab", "appliedFor": ["PULL_THROUGH_CACHE"]},
        },
    }  # fmt: skip
    for service, operations in calls.items():
        for operation, parameters in operations.items():
            with pytest.raises(ClientError) as caught:
                getattr(account.client(service), operation)(**parameters)
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 500, 501), operation
