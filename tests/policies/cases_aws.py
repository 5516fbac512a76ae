"""Cases of the rules on AWS."""

from __future__ import annotations

import json

from tests.policies.support import DELETE


def _iam(**statement: object) -> list:
    document = {
        "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::x/*", **statement}]
    }
    return [("pull", "policy", json.dumps(document))]


FAIL = [
    ("ecr-immutable-tags", [("images", "imageTagMutability", "MUTABLE")], "imageTagMutability", {}),
    (
        "ecr-scan-on-push",
        [("images", "imageScanningConfiguration", DELETE)],
        "imageScanningConfiguration.scanOnPush",
        {},
    ),
    ("ecr-encryption", [("images", "encryptionConfigurations", [])], "encryptionConfigurations", {}),
    ("eks-endpoint", [("cluster", "vpcConfig.endpointPublicAccess", True)], "vpcConfig.publicAccessCidrs", {}),
    ("eks-endpoint", [("cluster", "vpcConfig.endpointPrivateAccess", False)], "vpcConfig.endpointPrivateAccess", {}),
    ("eks-secrets-encryption", [("cluster", "encryptionConfig", DELETE)], "encryptionConfig", {}),
    ("eks-audit-logs", [("cluster", "enabledClusterLogTypes", ["api"])], "enabledClusterLogTypes", {}),
    ("imds-hop-limit", [("nodes", "metadataOptions.httpTokens", "optional")], "metadataOptions.httpTokens", {}),
    (
        "imds-hop-limit",
        [("nodes", "metadataOptions.httpPutResponseHopLimit", DELETE)],
        "metadataOptions.httpPutResponseHopLimit",
        {},
    ),
    (
        "imds-hop-limit",
        [("EC2NodeClass/gpu", "spec.metadataOptions.httpPutResponseHopLimit", 2)],
        "spec.metadataOptions.httpPutResponseHopLimit",
        {},
    ),
    ("encrypted-volumes", [("nodes", "blockDeviceMappings[0].ebs", {})], "blockDeviceMappings[0].ebs.encrypted", {}),
    (
        "encrypted-volumes",
        [("EC2NodeClass/gpu", "spec.blockDeviceMappings[0].ebs.encrypted", False)],
        "spec.blockDeviceMappings[0].ebs.encrypted",
        {},
    ),
    ("gpu-instance-types", [("nodes", "instanceType", "p5.48xlarge")], "instanceType", {"types": ["g6.*"]}),
    ("gpu-instance-types", [], "spec.template.spec.requirements[0].values[0]", {"types": ["g6.xlarge"]}),
    ("iam-wildcards", _iam(Action="*"), "policy: Statement[0]", {}),
    ("iam-wildcards", _iam(Action=["s3:*"]), "policy: Statement[0]", {}),
    ("iam-wildcards", _iam(Action=["s3:PutObject"], Resource="*"), "policy: Statement[0]", {}),
    ("iam-wildcards", _iam(NotAction=["s3:PutObject"]), "policy: Statement[0]", {}),
    ("iam-wildcards", [("pull", "policy", "no JSON")], "policy: Statement[0]", {}),
    ("security-group-world", [("ingress", "ingress[0].fromPort", 22)], "ingress[0]", {}),
    ("bucket-private", [("weights-private", "blockPublicAcls", False)], "", {}),
    ("bucket-encryption", [("weights-encryption", "bucket", "other")], "", {}),
    ("bucket-versioning", [("weights-versions", "versioningConfiguration.status", "Suspended")], "", {}),
    ("bucket-tls", [("weights-tls", "", DELETE)], "", {}),
]

PASS = [
    (
        "eks-endpoint",
        [
            ("cluster", "vpcConfig.endpointPublicAccess", True),
            ("cluster", "vpcConfig.publicAccessCidrs", ["10.0.0.0/8"]),
        ],
        {},
    ),
    ("imds-hop-limit", [("EC2NodeClass/gpu", "spec.metadataOptions", DELETE)], {}),
    ("gpu-instance-types", [("nodes", "instanceType", "m7i.large")], {"types": ["g6.*"]}),
    ("iam-wildcards", _iam(Action=["ec2:DescribeInstances"], Resource="*"), {}),
    (
        "security-group-world",
        [("ingress", "ingress[0].cidrBlocks", ["10.0.0.0/8"]), ("ingress", "ingress[0].fromPort", 22)],
        {},
    ),
]

UNKNOWN_AT = [
    ("ecr-immutable-tags", "images", "imageTagMutability", {}),
    ("ecr-scan-on-push", "images", "imageScanningConfiguration", {}),
    ("ecr-encryption", "images", "encryptionConfigurations", {}),
    ("eks-endpoint", "cluster", "vpcConfig.endpointPublicAccess", {}),
    ("eks-secrets-encryption", "cluster", "encryptionConfig.resources", {}),
    ("eks-audit-logs", "cluster", "enabledClusterLogTypes", {}),
    ("imds-hop-limit", "nodes", "metadataOptions", {}),
    ("encrypted-volumes", "nodes", "blockDeviceMappings", {}),
    ("gpu-instance-types", "nodes", "instanceType", {"types": ["g6.*"]}),
    ("iam-wildcards", "pull", "policy", {}),
    ("security-group-world", "ingress", "ingress", {}),
    ("bucket-private", "weights-private", "blockPublicAcls", {}),
    ("bucket-encryption", "weights-encryption", "rules", {}),
    ("bucket-versioning", "weights-versions", "versioningConfiguration", {}),
    ("bucket-tls", "weights-tls", "policy", {}),
]
