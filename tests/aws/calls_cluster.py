"""Resources of the cluster as API calls: EKS, its registries, roles and keys."""

from __future__ import annotations

from collections.abc import Iterator

from tests.aws.calls_support import SELF, Inputs, Makers, Row, one

__all__ = ["CALLS"]


def _role(i: Inputs) -> Iterator[Row]:
    yield "iam", "CreateRole", {"RoleName": i["name"], "AssumeRolePolicyDocument": i["assumeRolePolicy"]}


def _key(i: Inputs) -> Iterator[Row]:
    yield "kms", "CreateKey", {"Description": i["description"], "Policy": i["policy"]}
    if i["enableKeyRotation"]:
        yield "kms", "EnableKeyRotation", {"KeyId": SELF}


def _repository(i: Inputs) -> Iterator[Row]:
    (encryption,) = i["encryptionConfigurations"]
    yield "ecr", "CreateRepository", {
        "repositoryName": i["name"], "imageTagMutability": i["imageTagMutability"],
        "imageScanningConfiguration": i["imageScanningConfiguration"], "encryptionConfiguration": encryption,
    }  # fmt: skip


def _template_of_caches(i: Inputs) -> Iterator[Row]:
    (encryption,) = i["encryptionConfigurations"]
    yield "ecr", "CreateRepositoryCreationTemplate", {
        "prefix": i["prefix"], "description": i["description"], "appliedFor": i["appliedFors"],
        "imageTagMutability": i["imageTagMutability"], "encryptionConfiguration": encryption,
    }  # fmt: skip


def _cache(i: Inputs) -> Iterator[Row]:
    yield "ecr", "CreatePullThroughCacheRule", {
        "ecrRepositoryPrefix": i["ecrRepositoryPrefix"], "upstreamRegistryUrl": i["upstreamRegistryUrl"],
        "credentialArn": i.get("credentialArn"),
    }  # fmt: skip


def _cluster(i: Inputs) -> Iterator[Row]:
    vpc, logs = dict(i["vpcConfig"]), i["enabledClusterLogTypes"]
    encryption = i["encryptionConfig"]
    yield "eks", "CreateCluster", {
        "name": i["name"], "version": i["version"], "roleArn": i["roleArn"], "resourcesVpcConfig": vpc,
        "accessConfig": i["accessConfig"], "bootstrapSelfManagedAddons": i["bootstrapSelfManagedAddons"],
        "deletionProtection": i["deletionProtection"], "upgradePolicy": i["upgradePolicy"],
        "logging": {"clusterLogging": [{"types": logs, "enabled": True}]},
        "encryptionConfig": [{"provider": encryption["provider"], "resources": encryption["resources"]}],
        **{key: i[key] for key in ("computeConfig", "storageConfig", "kubernetesNetworkConfig") if key in i},
    }  # fmt: skip


def _node_group(i: Inputs) -> Iterator[Row]:
    yield "eks", "CreateNodegroup", {
        "clusterName": i["clusterName"], "nodegroupName": i.get("nodeGroupName", "system-nodes-1a2b3c4"),
        "nodeRole": i["nodeRoleArn"], "subnets": i["subnetIds"], "amiType": i["amiType"], "labels": i["labels"],
        "capacityType": i["capacityType"], "instanceTypes": i["instanceTypes"], "taints": i["taints"],
        "launchTemplate": i["launchTemplate"], "scalingConfig": i["scalingConfig"],
        "updateConfig": i["updateConfig"], "nodeRepairConfig": i["nodeRepairConfig"],
    }  # fmt: skip


def _addon(i: Inputs) -> Iterator[Row]:
    yield "eks", "CreateAddon", {
        "clusterName": i["clusterName"], "addonName": i["addonName"], "addonVersion": i.get("addonVersion"),
        "configurationValues": i.get("configurationValues"), "resolveConflicts": i["resolveConflictsOnCreate"],
        "podIdentityAssociations": i.get("podIdentityAssociations"),
    }  # fmt: skip
    yield "eks", "UpdateAddon", {
        "clusterName": i["clusterName"], "addonName": i["addonName"],
        "resolveConflicts": i["resolveConflictsOnUpdate"],
    }  # fmt: skip


CALLS: Makers = {
    "ecr/lifecyclePolicy:LifecyclePolicy": one(
        "ecr", "PutLifecyclePolicy", repositoryName="repository", lifecyclePolicyText="policy"
    ),
    "ecr/pullThroughCacheRule:PullThroughCacheRule": _cache,
    "ecr/repository:Repository": _repository,
    "ecr/repositoryCreationTemplate:RepositoryCreationTemplate": _template_of_caches,
    "ecr/repositoryPolicy:RepositoryPolicy": one(
        "ecr", "SetRepositoryPolicy", repositoryName="repository", policyText="policy"
    ),
    "eks/accessEntry:AccessEntry": one(
        "eks", "CreateAccessEntry", clusterName="clusterName", principalArn="principalArn", type="type"
    ),
    "eks/accessPolicyAssociation:AccessPolicyAssociation": one(
        "eks", "AssociateAccessPolicy", clusterName="clusterName", principalArn="principalArn", policyArn="policyArn",
        accessScope="accessScope",
    ),
    "eks/addon:Addon": _addon,
    "eks/cluster:Cluster": _cluster,
    "eks/nodeGroup:NodeGroup": _node_group,
    "eks/podIdentityAssociation:PodIdentityAssociation": one(
        "eks", "CreatePodIdentityAssociation", clusterName="clusterName", namespace="namespace", roleArn="roleArn",
        serviceAccount="serviceAccount",
    ),
    "iam/role:Role": _role,
    "iam/rolePolicy:RolePolicy": one(
        "iam", "PutRolePolicy", RoleName="role", PolicyName="name", PolicyDocument="policy"
    ),
    "iam/rolePolicyAttachment:RolePolicyAttachment": one(
        "iam", "AttachRolePolicy", RoleName="role", PolicyArn="policyArn"
    ),
    "kms/alias:Alias": one("kms", "CreateAlias", AliasName="name", TargetKeyId="targetKeyId"),
    "kms/key:Key": _key,
}
