"""The calls that the AWS provider makes for each type of resource: to create, read, change and delete it, and to wait.

From the documentation of each API and of the provider; tests hold the creating ones against the calls that they make.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ACTIONS"]


def _crud(service: str, noun: str, *more: str, read: str = "Describe", plural: str = "") -> tuple[str, ...]:
    reads = f"{service}:{read}{plural or noun}"
    return (f"{service}:Create{noun}", f"{service}:Delete{noun}", reads, *(f"{service}:{name}" for name in more))


_TAG_EC2 = ("ec2:CreateTags", "ec2:DeleteTags", "ec2:DescribeTags")
_TAG_EKS = ("eks:TagResource", "eks:UntagResource")
_PASS = "iam:PassRole"

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "acm/certificate:Certificate": (
        "acm:AddTagsToCertificate", "acm:DeleteCertificate", "acm:DescribeCertificate", "acm:ListTagsForCertificate",
        "acm:RequestCertificate",
    ),
    "acm/certificateValidation:CertificateValidation": ("acm:DescribeCertificate",),
    "amp/scraper:Scraper": (
        "aps:CreateScraper", "aps:DeleteScraper", "aps:DescribeScraper", "aps:ListTagsForResource", "aps:TagResource",
        "ec2:CreateNetworkInterface", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "eks:DescribeCluster",
        "iam:CreateServiceLinkedRole",
    ),
    "amp/workspace:Workspace": (
        "aps:CreateWorkspace", "aps:DeleteWorkspace", "aps:DescribeWorkspace", "aps:ListTagsForResource",
        "aps:TagResource", "aps:UpdateWorkspaceAlias",
    ),
    "budgets/budget:Budget": ("budgets:ModifyBudget", "budgets:ViewBudget"),
    "cloudwatch/eventRule:EventRule": (
        "events:DeleteRule", "events:DescribeRule", "events:ListTagsForResource", "events:PutRule",
        "events:TagResource",
    ),
    "cloudwatch/eventTarget:EventTarget": (
        "events:ListTargetsByRule", "events:PutTargets", "events:RemoveTargets",
    ),
    "cloudwatch/logGroup:LogGroup": (
        "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DescribeLogGroups",
        "logs:ListTagsForResource", "logs:PutRetentionPolicy", "logs:TagResource",
    ),
    "cloudwatch/logMetricFilter:LogMetricFilter": (
        "logs:DeleteMetricFilter", "logs:DescribeMetricFilters", "logs:PutMetricFilter",
    ),
    "cloudwatch/metricAlarm:MetricAlarm": (
        "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource",
        "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource",
    ),
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": (
        "ec2:DescribeSecurityGroups", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", *_TAG_EC2,
    ),
    "ec2/eip:Eip": ("ec2:AllocateAddress", "ec2:DescribeAddresses", "ec2:DescribeAddressesAttribute",
                    "ec2:ReleaseAddress", *_TAG_EC2),
    "ec2/flowLog:FlowLog": (
        "ec2:CreateFlowLogs", "ec2:DeleteFlowLogs", "ec2:DescribeFlowLogs", _PASS, *_TAG_EC2,
    ),
    "ec2/internetGateway:InternetGateway": (
        *_crud("ec2", "InternetGateway", "AttachInternetGateway", "DetachInternetGateway", plural="InternetGateways"),
        *_TAG_EC2,
    ),
    "ec2/launchTemplate:LaunchTemplate": (
        *_crud("ec2", "LaunchTemplate", "CreateLaunchTemplateVersion", "DescribeLaunchTemplateVersions",
               "ModifyLaunchTemplate", "RunInstances", plural="LaunchTemplates"), *_TAG_EC2,
    ),
    "ec2/natGateway:NatGateway": (*_crud("ec2", "NatGateway", plural="NatGateways"), *_TAG_EC2),
    "ec2/route:Route": ("ec2:CreateRoute", "ec2:DeleteRoute", "ec2:DescribeRouteTables", "ec2:ReplaceRoute"),
    "ec2/routeTable:RouteTable": (*_crud("ec2", "RouteTable", plural="RouteTables"), *_TAG_EC2),
    "ec2/routeTableAssociation:RouteTableAssociation": (
        "ec2:AssociateRouteTable", "ec2:DescribeRouteTables", "ec2:DisassociateRouteTable",
        "ec2:ReplaceRouteTableAssociation",
    ),
    "ec2/securityGroup:SecurityGroup": (
        *_crud("ec2", "SecurityGroup", "DescribeNetworkInterfaces", "RevokeSecurityGroupEgress",
               plural="SecurityGroups"), *_TAG_EC2,
    ),
    "ec2/subnet:Subnet": (
        *_crud("ec2", "Subnet", "DescribeNetworkInterfaces", "ModifySubnetAttribute", plural="Subnets"), *_TAG_EC2,
    ),
    "ec2/tag:Tag": _TAG_EC2,
    "ec2/vpc:Vpc": (
        *_crud("ec2", "Vpc", "DescribeNetworkAcls", "DescribeRouteTables", "DescribeSecurityGroups",
               "DescribeVpcAttribute", "ModifyVpcAttribute", plural="Vpcs"), *_TAG_EC2,
    ),
    "ec2/vpcEndpoint:VpcEndpoint": (
        "ec2:CreateVpcEndpoint", "ec2:DeleteVpcEndpoints", "ec2:DescribePrefixLists", "ec2:DescribeVpcEndpoints",
        "ec2:DescribeVpcEndpointServices", "ec2:ModifyVpcEndpoint", *_TAG_EC2,
    ),
    "ecr/lifecyclePolicy:LifecyclePolicy": (
        "ecr:DeleteLifecyclePolicy", "ecr:GetLifecyclePolicy", "ecr:PutLifecyclePolicy",
    ),
    "ecr/pullThroughCacheRule:PullThroughCacheRule": (
        *_crud("ecr", "PullThroughCacheRule", plural="PullThroughCacheRules"), "iam:CreateServiceLinkedRole",
        "secretsmanager:GetSecretValue",
    ),
    "ecr/repository:Repository": (
        "ecr:CreateRepository", "ecr:DeleteRepository", "ecr:DescribeRepositories", "ecr:ListTagsForResource",
        "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability", "ecr:TagResource", "kms:CreateGrant",
        "kms:DescribeKey", "kms:RetireGrant",
    ),
    "ecr/repositoryCreationTemplate:RepositoryCreationTemplate": _crud(
        "ecr", "RepositoryCreationTemplate", "UpdateRepositoryCreationTemplate", plural="RepositoryCreationTemplates"
    ),
    "ecr/repositoryPolicy:RepositoryPolicy": (
        "ecr:DeleteRepositoryPolicy", "ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy",
    ),
    "eks/accessEntry:AccessEntry": (*_crud("eks", "AccessEntry", "UpdateAccessEntry"), *_TAG_EKS),
    "eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy", "eks:ListAssociatedAccessPolicies",
    ),
    "eks/addon:Addon": (
        *_crud("eks", "Addon", "DescribeAddonVersions", "DescribePodIdentityAssociation", "UpdateAddon",
               "CreatePodIdentityAssociation", "DeletePodIdentityAssociation", "UpdatePodIdentityAssociation"),
        _PASS, "iam:GetRole", *_TAG_EKS,
    ),
    "eks/cluster:Cluster": (
        *_crud("eks", "Cluster", "DescribeUpdate", "UpdateClusterConfig", "UpdateClusterVersion"), _PASS,
        "iam:CreateServiceLinkedRole", "iam:GetRole", "ec2:DescribeSubnets", "kms:CreateGrant", "kms:DescribeKey",
        *_TAG_EKS,
    ),
    "eks/nodeGroup:NodeGroup": (
        *_crud("eks", "Nodegroup", "DescribeUpdate", "UpdateNodegroupConfig", "UpdateNodegroupVersion"), _PASS,
        "iam:GetRole", "iam:ListAttachedRolePolicies", "iam:CreateServiceLinkedRole", "ec2:RunInstances",
        "ec2:CreateTags", "ec2:DescribeLaunchTemplateVersions", "ec2:DescribeSubnets", *_TAG_EKS,
    ),
    "eks/podIdentityAssociation:PodIdentityAssociation": (
        *_crud("eks", "PodIdentityAssociation", "ListPodIdentityAssociations", "UpdatePodIdentityAssociation"), _PASS,
        "iam:GetRole", *_TAG_EKS,
    ),
    "grafana/workspace:Workspace": (
        "grafana:CreateWorkspace", "grafana:DeleteWorkspace", "grafana:DescribeWorkspace",
        "grafana:DescribeWorkspaceAuthentication", "grafana:DescribeWorkspaceConfiguration",
        "grafana:ListTagsForResource", "grafana:TagResource", "grafana:UpdateWorkspace",
        "grafana:UpdateWorkspaceAuthentication", _PASS, "sso:CreateManagedApplicationInstance",
        "sso:DescribeRegisteredRegions", "sso:GetSharedSsoConfiguration",
    ),
    "iam/role:Role": (
        "iam:CreateRole", "iam:DeleteRole", "iam:GetRole", "iam:ListAttachedRolePolicies",
        "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:TagRole", "iam:UntagRole",
        "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
    ),
    "iam/rolePolicy:RolePolicy": ("iam:DeleteRolePolicy", "iam:GetRolePolicy", "iam:PutRolePolicy"),
    "iam/rolePolicyAttachment:RolePolicyAttachment": (
        "iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:ListAttachedRolePolicies",
    ),
    "kms/alias:Alias": ("kms:CreateAlias", "kms:DeleteAlias", "kms:ListAliases", "kms:UpdateAlias"),
    "kms/key:Key": (
        "kms:CreateKey", "kms:DescribeKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
        "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource",
        "kms:UpdateKeyDescription",
    ),
    "route53/record:Record": (
        "route53:ChangeResourceRecordSets", "route53:GetChange", "route53:GetHostedZone",
        "route53:ListResourceRecordSets",
    ),
    "s3/bucket:Bucket": (
        "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteObject", "s3:DeleteObjectVersion",
        "s3:GetAccelerateConfiguration", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLocation",
        "s3:GetBucketLogging", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketPolicy",
        "s3:GetBucketRequestPayment", "s3:GetBucketTagging", "s3:GetBucketVersioning", "s3:GetBucketWebsite",
        "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration",
        "s3:ListBucket", "s3:ListBucketVersions", "s3:PutBucketTagging",
    ),
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration",
    ),
    "s3/bucketOwnershipControls:BucketOwnershipControls": (
        "s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls",
    ),
    "s3/bucketPolicy:BucketPolicy": ("s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy"),
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock",
    ),
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "kms:DescribeKey", "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration",
    ),
    "s3/bucketVersioning:BucketVersioning": ("s3:GetBucketVersioning", "s3:PutBucketVersioning"),
    "sns/topic:Topic": (
        "sns:CreateTopic", "sns:DeleteTopic", "sns:GetTopicAttributes", "sns:ListTagsForResource",
        "sns:SetTopicAttributes", "sns:TagResource",
    ),
    "sns/topicPolicy:TopicPolicy": ("sns:GetTopicAttributes", "sns:SetTopicAttributes"),
    "sns/topicSubscription:TopicSubscription": (
        "sns:GetSubscriptionAttributes", "sns:ListSubscriptionsByTopic", "sns:Subscribe", "sns:Unsubscribe",
    ),
    "sqs/queue:Queue": (
        "sqs:CreateQueue", "sqs:DeleteQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags",
        "sqs:SetQueueAttributes", "sqs:TagQueue",
    ),
    "sqs/queuePolicy:QueuePolicy": ("sqs:GetQueueAttributes", "sqs:SetQueueAttributes"),
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        "ec2:AuthorizeSecurityGroupIngress", "ec2:DescribeSecurityGroupRules", "ec2:ModifySecurityGroupRules",
        "ec2:RevokeSecurityGroupIngress", *_TAG_EC2,
    ),
    "wafv2/webAcl:WebAcl": (
        "wafv2:CreateWebACL", "wafv2:DeleteWebACL", "wafv2:GetWebACL", "wafv2:ListTagsForResource",
        "wafv2:TagResource", "wafv2:UpdateWebACL",
    ),
}  # fmt: skip
