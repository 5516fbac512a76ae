"""What is stored about the cluster, its registries, roles and keys."""

from __future__ import annotations

import json
from typing import Any

from tests.aws.readback_support import Found, Inputs, Readers, named

__all__ = ["READERS"]


def _role(account: Any, i: Inputs) -> Found:
    found = account.client("iam").get_role(RoleName=i["name"])["Role"]
    yield "trust", json.loads(i["assumeRolePolicy"]), found["AssumeRolePolicyDocument"]


def _role_policy(account: Any, i: Inputs) -> Found:
    found = account.client("iam").get_role_policy(RoleName=i["role"], PolicyName=i["name"])
    yield "document", json.loads(i["policy"]), found["PolicyDocument"]


def _attachment(account: Any, i: Inputs) -> Found:
    found = account.client("iam").list_attached_role_policies(RoleName=i["role"])["AttachedPolicies"]
    yield "attached", True, i["policyArn"] in [policy["PolicyArn"] for policy in found]


def _alias(account: Any, i: Inputs) -> Found:
    found = named(account.client("kms").list_aliases()["Aliases"], AliasName=i["name"])
    yield "key", i["targetKeyId"], found["TargetKeyId"]
    rotation = account.client("kms").get_key_rotation_status(KeyId=i["targetKeyId"])
    yield "rotation of its key", True, rotation["KeyRotationEnabled"]


def _repository(account: Any, i: Inputs) -> Found:
    (found,) = account.client("ecr").describe_repositories(repositoryNames=[i["name"]])["repositories"]
    yield "tags", i["imageTagMutability"], found["imageTagMutability"]
    yield "scan", i["imageScanningConfiguration"], found["imageScanningConfiguration"]
    yield "key", i["encryptionConfigurations"][0], found["encryptionConfiguration"]


def _lifecycle(account: Any, i: Inputs) -> Found:
    found = account.client("ecr").get_lifecycle_policy(repositoryName=i["repository"])
    yield "rules", json.loads(i["policy"]), json.loads(found["lifecyclePolicyText"])


def _repository_policy(account: Any, i: Inputs) -> Found:
    found = account.client("ecr").get_repository_policy(repositoryName=i["repository"])
    yield "document", json.loads(i["policy"]), json.loads(found["policyText"])


def _cluster(account: Any, i: Inputs) -> Found:
    found = account.client("eks").describe_cluster(name=i["name"])["cluster"]
    yield "role", i["roleArn"], found["roleArn"]
    yield "version", i["version"], found["version"]
    logs = found["logging"]["clusterLogging"][0]
    yield "logs", (sorted(i["enabledClusterLogTypes"]), True), (sorted(logs["types"]), logs["enabled"])
    yield "key", i["encryptionConfig"]["provider"], found["encryptionConfig"][0]["provider"]
    for field in ("endpointPrivateAccess", "endpointPublicAccess", "subnetIds"):
        yield field, i["vpcConfig"][field], found["resourcesVpcConfig"][field]


def _node_group(account: Any, i: Inputs) -> Found:
    client = account.client("eks")
    (name,) = client.list_nodegroups(clusterName=i["clusterName"])["nodegroups"]
    found = client.describe_nodegroup(clusterName=i["clusterName"], nodegroupName=name)["nodegroup"]
    yield "size", i["scalingConfig"], found["scalingConfig"]
    yield "role", i["nodeRoleArn"], found["nodeRole"]
    yield "image", i["amiType"], found["amiType"]


READERS: Readers = {
    "ecr/lifecyclePolicy:LifecyclePolicy": _lifecycle,
    "ecr/repository:Repository": _repository,
    "ecr/repositoryPolicy:RepositoryPolicy": _repository_policy,
    "eks/cluster:Cluster": _cluster,
    "eks/nodeGroup:NodeGroup": _node_group,
    "iam/role:Role": _role,
    "iam/rolePolicy:RolePolicy": _role_policy,
    "iam/rolePolicyAttachment:RolePolicyAttachment": _attachment,
    "kms/alias:Alias": _alias,
}
