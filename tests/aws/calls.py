"""Each resource as the API calls that create it, for checks against AWS's own service models and against moto.

The Pulumi provider is the Terraform provider underneath; what a resource calls when it is created was read from the
documentation of both and of each API. Ids of other resources stand in the parameters as the program was given them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CALLS", "SELF", "Call", "calls_of", "documents"]

Inputs = Mapping[str, Any]
SELF = "self-0123456789abcdef0"
"""Stands for the id of what an earlier call of the same resource made."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: service and operation as botocore names them, and its parameters."""

    service: str
    operation: str
    params: dict[str, Any]


def calls_of(kind: str, inputs: Inputs) -> list[Call]:
    """The calls that create a resource of type ``aws:<kind>``; every type of the program must be known here."""
    return [
        Call(service=service, operation=operation, params={k: v for k, v in params.items() if v is not None})
        for service, operation, params in CALLS[kind](inputs)
    ]


def _up(value: Any) -> Any:
    """Keys with a capital first letter, as EC2 and CloudWatch spell them, all the way down."""
    if isinstance(value, Mapping):
        return {key[:1].upper() + key[1:]: _up(item) for key, item in value.items()}
    return [_up(item) for item in value] if isinstance(value, list) else value


def _tags(inputs: Inputs, *, key: str = "Key", value: str = "Value") -> list[dict[str, str]] | None:
    tags = inputs.get("tags") or {}
    return [{key: name, value: text} for name, text in sorted(tags.items())] or None


def _spec(inputs: Inputs, kind: str) -> list[dict[str, Any]] | None:
    tags = _tags(inputs)
    return [{"ResourceType": kind, "Tags": tags}] if tags else None


_Row = tuple[str, str, dict[str, Any]]


def _vpc(i: Inputs) -> Iterator[_Row]:
    yield "ec2", "CreateVpc", {"CidrBlock": i["cidrBlock"], "TagSpecifications": _spec(i, "vpc")}
    for field in ("enableDnsSupport", "enableDnsHostnames"):
        yield "ec2", "ModifyVpcAttribute", {"VpcId": SELF, field[:1].upper() + field[1:]:
                                            {"Value": i[field]}}  # fmt: skip


def _subnet(i: Inputs) -> Iterator[_Row]:
    yield "ec2", "CreateSubnet", {
        "VpcId": i["vpcId"], "CidrBlock": i["cidrBlock"], "AvailabilityZone": i["availabilityZone"],
        "TagSpecifications": _spec(i, "subnet"),
    }  # fmt: skip


def _endpoint(i: Inputs) -> Iterator[_Row]:
    yield "ec2", "CreateVpcEndpoint", {
        "VpcId": i["vpcId"], "ServiceName": i["serviceName"], "VpcEndpointType": i["vpcEndpointType"],
        "PrivateDnsEnabled": i.get("privateDnsEnabled"), "SubnetIds": i.get("subnetIds"),
        "SecurityGroupIds": i.get("securityGroupIds"), "RouteTableIds": i.get("routeTableIds"),
        "TagSpecifications": _spec(i, "vpc-endpoint"),
    }  # fmt: skip


def _ingress(i: Inputs) -> Iterator[_Row]:
    permission = {
        "IpProtocol": i["ipProtocol"], "FromPort": i["fromPort"], "ToPort": i["toPort"],
        "IpRanges": [{"CidrIp": i["cidrIpv4"]}],
    }  # fmt: skip
    yield "ec2", "AuthorizeSecurityGroupIngress", {"GroupId": i["securityGroupId"], "IpPermissions": [permission]}


def _default_group(i: Inputs) -> Iterator[_Row]:
    among = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": SELF}]}
    out = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    yield "ec2", "RevokeSecurityGroupIngress", {"GroupId": SELF, "IpPermissions": [among]}
    yield "ec2", "RevokeSecurityGroupEgress", {"GroupId": SELF, "IpPermissions": [out]}


def _template(i: Inputs) -> Iterator[_Row]:
    def disk(found: Inputs) -> dict[str, Any]:
        ebs = _up(found["ebs"])
        for flag in ("Encrypted", "DeleteOnTermination"):
            ebs[flag] = ebs[flag] == "true"
        return {"DeviceName": found["deviceName"], "Ebs": ebs}

    data = {
        "MetadataOptions": _up(i["metadataOptions"]),
        "BlockDeviceMappings": [disk(found) for found in i["blockDeviceMappings"]],
        "TagSpecifications": [
            {"ResourceType": spec["resourceType"], "Tags": _tags(spec)} for spec in i["tagSpecifications"]
        ],
    }
    yield "ec2", "CreateLaunchTemplate", {"LaunchTemplateName": i["name"], "LaunchTemplateData": data}


def _flow_log(i: Inputs) -> Iterator[_Row]:
    yield "ec2", "CreateFlowLogs", {
        "ResourceIds": [i["vpcId"]], "ResourceType": "VPC", "TrafficType": i["trafficType"],
        "LogDestination": i["logDestination"], "LogDestinationType": "cloud-watch-logs",
        "DeliverLogsPermissionArn": i["iamRoleArn"], "TagSpecifications": _spec(i, "vpc-flow-log"),
    }  # fmt: skip


def _role(i: Inputs) -> Iterator[_Row]:
    yield "iam", "CreateRole", {"RoleName": i["name"], "AssumeRolePolicyDocument": i["assumeRolePolicy"]}


def _key(i: Inputs) -> Iterator[_Row]:
    yield "kms", "CreateKey", {"Description": i["description"], "Policy": i["policy"]}
    if i["enableKeyRotation"]:
        yield "kms", "EnableKeyRotation", {"KeyId": SELF}


def _log_group(i: Inputs) -> Iterator[_Row]:
    yield "logs", "CreateLogGroup", {"logGroupName": i["name"], "kmsKeyId": i.get("kmsKeyId")}
    yield "logs", "PutRetentionPolicy", {"logGroupName": i["name"], "retentionInDays": i["retentionInDays"]}


def _queue(i: Inputs) -> Iterator[_Row]:
    attributes = {
        "MessageRetentionPeriod": str(i["messageRetentionSeconds"]),
        "SqsManagedSseEnabled": str(i["sqsManagedSseEnabled"]).lower(),
    }
    yield "sqs", "CreateQueue", {"QueueName": i["name"], "Attributes": attributes}


def _repository(i: Inputs) -> Iterator[_Row]:
    (encryption,) = i["encryptionConfigurations"]
    yield "ecr", "CreateRepository", {
        "repositoryName": i["name"], "imageTagMutability": i["imageTagMutability"],
        "imageScanningConfiguration": i["imageScanningConfiguration"], "encryptionConfiguration": encryption,
    }  # fmt: skip


def _template_of_caches(i: Inputs) -> Iterator[_Row]:
    (encryption,) = i["encryptionConfigurations"]
    yield "ecr", "CreateRepositoryCreationTemplate", {
        "prefix": i["prefix"], "description": i["description"], "appliedFor": i["appliedFors"],
        "imageTagMutability": i["imageTagMutability"], "encryptionConfiguration": encryption,
    }  # fmt: skip


def _cache(i: Inputs) -> Iterator[_Row]:
    yield "ecr", "CreatePullThroughCacheRule", {
        "ecrRepositoryPrefix": i["ecrRepositoryPrefix"], "upstreamRegistryUrl": i["upstreamRegistryUrl"],
        "credentialArn": i.get("credentialArn"),
    }  # fmt: skip


def _cluster(i: Inputs) -> Iterator[_Row]:
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


def _node_group(i: Inputs) -> Iterator[_Row]:
    yield "eks", "CreateNodegroup", {
        "clusterName": i["clusterName"], "nodegroupName": i.get("nodeGroupName", "system-nodes-1a2b3c4"),
        "nodeRole": i["nodeRoleArn"], "subnets": i["subnetIds"], "amiType": i["amiType"], "labels": i["labels"],
        "capacityType": i["capacityType"], "instanceTypes": i["instanceTypes"], "taints": i["taints"],
        "launchTemplate": i["launchTemplate"], "scalingConfig": i["scalingConfig"],
        "updateConfig": i["updateConfig"], "nodeRepairConfig": i["nodeRepairConfig"],
    }  # fmt: skip


def _addon(i: Inputs) -> Iterator[_Row]:
    yield "eks", "CreateAddon", {
        "clusterName": i["clusterName"], "addonName": i["addonName"], "addonVersion": i.get("addonVersion"),
        "configurationValues": i.get("configurationValues"), "resolveConflicts": i["resolveConflictsOnCreate"],
        "podIdentityAssociations": i.get("podIdentityAssociations"),
    }  # fmt: skip
    yield "eks", "UpdateAddon", {
        "clusterName": i["clusterName"], "addonName": i["addonName"],
        "resolveConflicts": i["resolveConflictsOnUpdate"],
    }  # fmt: skip


def _record(i: Inputs) -> Iterator[_Row]:
    entry = {
        "Name": i["name"], "Type": i["type"], "TTL": i["ttl"],
        "ResourceRecords": [{"Value": value} for value in i["records"]],
    }  # fmt: skip
    change = {"Action": "UPSERT" if i.get("allowOverwrite") else "CREATE", "ResourceRecordSet": entry}
    yield "route53", "ChangeResourceRecordSets", {"HostedZoneId": i["zoneId"], "ChangeBatch": {"Changes": [change]}}


def _statement(found: Inputs) -> dict[str, Any]:
    if "rateBasedStatement" in found:
        rate = found["rateBasedStatement"]
        return {"RateBasedStatement": {"Limit": rate["limit"], "AggregateKeyType": rate["aggregateKeyType"]}}
    group = found["managedRuleGroupStatement"]
    overrides = [{"Name": o["name"], "ActionToUse": _up(o["actionToUse"])} for o in group["ruleActionOverrides"]]
    return {"ManagedRuleGroupStatement": {
        "VendorName": group["vendorName"], "Name": group["name"], "RuleActionOverrides": overrides,
    }}  # fmt: skip


def _visibility(found: Inputs) -> dict[str, Any]:
    seen = found["visibilityConfig"]
    return {
        "SampledRequestsEnabled": seen["sampledRequestsEnabled"], "MetricName": seen["metricName"],
        "CloudWatchMetricsEnabled": seen["cloudwatchMetricsEnabled"],
    }  # fmt: skip


def _web_acl(i: Inputs) -> Iterator[_Row]:
    rules = []
    for rule in i["rules"]:
        made = {"Name": rule["name"], "Priority": rule["priority"], "Statement": _statement(rule["statement"])}
        for key in ("action", "overrideAction"):
            if key in rule:
                made[key[:1].upper() + key[1:]] = _up(rule[key])
        rules.append({**made, "VisibilityConfig": _visibility(rule)})
    yield "wafv2", "CreateWebACL", {
        "Name": i["name"], "Scope": i["scope"], "DefaultAction": _up(i["defaultAction"]), "Rules": rules,
        "VisibilityConfig": _visibility(i),
    }  # fmt: skip


def _one(service: str, operation: str, **names: str) -> Callable[[Inputs], Iterator[_Row]]:
    """A call whose parameters are inputs under other names: ``API=input``."""

    def made(i: Inputs) -> Iterator[_Row]:
        yield service, operation, {name: i.get(key) for name, key in names.items()}

    return made


def _tagged(service: str, operation: str, kind: str, **names: str) -> Callable[[Inputs], Iterator[_Row]]:
    def made(i: Inputs) -> Iterator[_Row]:
        yield service, operation, {**{n: i.get(key) for n, key in names.items()}, "TagSpecifications": _spec(i, kind)}

    return made


def _target(i: Inputs) -> Iterator[_Row]:
    yield "events", "PutTargets", {"Rule": i["rule"], "Targets": [{"Id": i["targetId"], "Arn": i["arn"]}]}


def _queue_policy(i: Inputs) -> Iterator[_Row]:
    yield "sqs", "SetQueueAttributes", {"QueueUrl": i["queueUrl"], "Attributes": {"Policy": i["policy"]}}


def _tag(i: Inputs) -> Iterator[_Row]:
    yield "ec2", "CreateTags", {"Resources": [i["resourceId"]], "Tags": [{"Key": i["key"], "Value": i["value"]}]}


def _bucket(i: Inputs) -> Iterator[_Row]:
    yield "s3", "CreateBucket", {"Bucket": i["bucket"]}


def _encryption(i: Inputs) -> Iterator[_Row]:
    rules = []
    for rule in i["rules"]:
        by = rule["applyServerSideEncryptionByDefault"]
        default = {"SSEAlgorithm": by["sseAlgorithm"], "KMSMasterKeyID": by["kmsMasterKeyId"]}
        rules.append({"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": rule["bucketKeyEnabled"]})
    yield "s3", "PutBucketEncryption", {
        "Bucket": i["bucket"], "ServerSideEncryptionConfiguration": {"Rules": rules},
    }  # fmt: skip


def _private(i: Inputs) -> Iterator[_Row]:
    block = {
        "BlockPublicAcls": i["blockPublicAcls"], "BlockPublicPolicy": i["blockPublicPolicy"],
        "IgnorePublicAcls": i["ignorePublicAcls"], "RestrictPublicBuckets": i["restrictPublicBuckets"],
    }  # fmt: skip
    yield "s3", "PutPublicAccessBlock", {"Bucket": i["bucket"], "PublicAccessBlockConfiguration": block}


def _versions(i: Inputs) -> Iterator[_Row]:
    status = i["versioningConfiguration"]["status"]
    yield "s3", "PutBucketVersioning", {"Bucket": i["bucket"], "VersioningConfiguration": {"Status": status}}


def _owner(i: Inputs) -> Iterator[_Row]:
    rules = [{"ObjectOwnership": i["rule"]["objectOwnership"]}]
    yield "s3", "PutBucketOwnershipControls", {"Bucket": i["bucket"], "OwnershipControls": {"Rules": rules}}


def _bucket_lifecycle(i: Inputs) -> Iterator[_Row]:
    rules = [
        {
            "ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": rule["filter"]["prefix"]},
            "NoncurrentVersionExpiration": _up(rule["noncurrentVersionExpiration"]),
            "AbortIncompleteMultipartUpload": _up(rule["abortIncompleteMultipartUpload"]),
        }
        for rule in i["rules"]
    ]  # fmt: skip
    yield "s3", "PutBucketLifecycleConfiguration", {"Bucket": i["bucket"], "LifecycleConfiguration": {"Rules": rules}}


def _topic(i: Inputs) -> Iterator[_Row]:
    yield "sns", "CreateTopic", {"Name": i["name"], "Attributes": {"KmsMasterKeyId": i["kmsMasterKeyId"]}}


def _topic_policy(i: Inputs) -> Iterator[_Row]:
    yield "sns", "SetTopicAttributes", {
        "TopicArn": i["arn"], "AttributeName": "Policy", "AttributeValue": i["policy"],
    }  # fmt: skip


def _alarm(i: Inputs) -> Iterator[_Row]:
    dimensions = [{"Name": key, "Value": value} for key, value in (i.get("dimensions") or {}).items()]
    yield "cloudwatch", "PutMetricAlarm", {
        "AlarmName": i["name"], "AlarmDescription": i["alarmDescription"], "Namespace": i["namespace"],
        "MetricName": i["metricName"], "Dimensions": dimensions, "Statistic": i["statistic"], "Period": i["period"],
        "ComparisonOperator": i["comparisonOperator"], "Threshold": i["threshold"],
        "EvaluationPeriods": i["evaluationPeriods"], "TreatMissingData": i["treatMissingData"],
        "AlarmActions": i["alarmActions"], "OKActions": i["okActions"],
    }  # fmt: skip


def _metric_filter(i: Inputs) -> Iterator[_Row]:
    found = i["metricTransformation"]
    made = {
        "metricName": found["name"], "metricNamespace": found["namespace"], "metricValue": found["value"],
        "defaultValue": float(found["defaultValue"]),
    }  # fmt: skip
    yield "logs", "PutMetricFilter", {
        "filterName": i["name"], "logGroupName": i["logGroupName"], "filterPattern": i["pattern"],
        "metricTransformations": [made],
    }  # fmt: skip


def _budget(i: Inputs) -> Iterator[_Row]:
    budget = {
        "BudgetName": i["name"], "BudgetType": i["budgetType"], "TimeUnit": i["timeUnit"],
        "BudgetLimit": {"Amount": i["limitAmount"], "Unit": i["limitUnit"]},
        "CostFilters": {found["name"]: found["values"] for found in i["costFilters"]},
    }  # fmt: skip
    yield "budgets", "CreateBudget", {"AccountId": "123456789012", "Budget": budget}
    for notice in i.get("notifications") or []:
        people = [{"SubscriptionType": "EMAIL", "Address": mail} for mail in notice["subscriberEmailAddresses"]]
        yield "budgets", "CreateNotification", {
            "AccountId": "123456789012", "BudgetName": i["name"], "Subscribers": people,
            "Notification": {
                "NotificationType": notice["notificationType"], "ThresholdType": notice["thresholdType"],
                "ComparisonOperator": notice["comparisonOperator"], "Threshold": notice["threshold"],
            },
        }  # fmt: skip


def _scraper(i: Inputs) -> Iterator[_Row]:
    eks, amp = i["source"]["eks"], i["destination"]["amp"]
    yield "amp", "CreateScraper", {
        "alias": i["alias"], "scrapeConfiguration": {"configurationBlob": base64.b64decode(i["scrapeConfiguration"])},
        "source": {"eksConfiguration": eks}, "destination": {"ampConfiguration": amp},
    }  # fmt: skip


def _grafana(i: Inputs) -> Iterator[_Row]:
    yield "grafana", "CreateWorkspace", {
        "workspaceName": i["name"], "accountAccessType": i["accountAccessType"],
        "authenticationProviders": i["authenticationProviders"], "permissionType": i["permissionType"],
        "workspaceDataSources": i["dataSources"], "workspaceRoleArn": i["roleArn"],
    }  # fmt: skip


CALLS: dict[str, Callable[[Inputs], Iterator[_Row]]] = {
    "acm/certificate:Certificate": _one(
        "acm", "RequestCertificate", DomainName="domainName", ValidationMethod="validationMethod"
    ),
    "acm/certificateValidation:CertificateValidation": _one(
        "acm", "DescribeCertificate", CertificateArn="certificateArn"
    ),
    "amp/scraper:Scraper": _scraper,
    "amp/workspace:Workspace": _one("amp", "CreateWorkspace", alias="alias"),
    "cloudwatch/eventRule:EventRule": _one("events", "PutRule", Name="name", EventPattern="eventPattern"),
    "cloudwatch/eventTarget:EventTarget": _target,
    "cloudwatch/logGroup:LogGroup": _log_group,
    "cloudwatch/logMetricFilter:LogMetricFilter": _metric_filter,
    "cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "budgets/budget:Budget": _budget,
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": _default_group,
    "ec2/eip:Eip": _tagged("ec2", "AllocateAddress", "elastic-ip", Domain="domain"),
    "ec2/flowLog:FlowLog": _flow_log,
    "ec2/internetGateway:InternetGateway": _tagged("ec2", "CreateInternetGateway", "internet-gateway"),
    "ec2/launchTemplate:LaunchTemplate": _template,
    "ec2/natGateway:NatGateway": _tagged(
        "ec2", "CreateNatGateway", "natgateway", SubnetId="subnetId", AllocationId="allocationId"
    ),
    "ec2/route:Route": _one(
        "ec2", "CreateRoute", RouteTableId="routeTableId", DestinationCidrBlock="destinationCidrBlock",
        GatewayId="gatewayId", NatGatewayId="natGatewayId",
    ),
    "ec2/routeTable:RouteTable": _tagged("ec2", "CreateRouteTable", "route-table", VpcId="vpcId"),
    "ec2/routeTableAssociation:RouteTableAssociation": _one(
        "ec2", "AssociateRouteTable", RouteTableId="routeTableId", SubnetId="subnetId"
    ),
    "ec2/securityGroup:SecurityGroup": _tagged(
        "ec2", "CreateSecurityGroup", "security-group", GroupName="name", Description="description", VpcId="vpcId"
    ),
    "ec2/subnet:Subnet": _subnet,
    "ec2/tag:Tag": _tag,
    "ec2/vpc:Vpc": _vpc,
    "ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "ecr/lifecyclePolicy:LifecyclePolicy": _one(
        "ecr", "PutLifecyclePolicy", repositoryName="repository", lifecyclePolicyText="policy"
    ),
    "ecr/pullThroughCacheRule:PullThroughCacheRule": _cache,
    "ecr/repository:Repository": _repository,
    "ecr/repositoryCreationTemplate:RepositoryCreationTemplate": _template_of_caches,
    "ecr/repositoryPolicy:RepositoryPolicy": _one(
        "ecr", "SetRepositoryPolicy", repositoryName="repository", policyText="policy"
    ),
    "eks/accessEntry:AccessEntry": _one(
        "eks", "CreateAccessEntry", clusterName="clusterName", principalArn="principalArn", type="type"
    ),
    "eks/accessPolicyAssociation:AccessPolicyAssociation": _one(
        "eks", "AssociateAccessPolicy", clusterName="clusterName", principalArn="principalArn", policyArn="policyArn",
        accessScope="accessScope",
    ),
    "eks/addon:Addon": _addon,
    "eks/cluster:Cluster": _cluster,
    "eks/nodeGroup:NodeGroup": _node_group,
    "eks/podIdentityAssociation:PodIdentityAssociation": _one(
        "eks", "CreatePodIdentityAssociation", clusterName="clusterName", namespace="namespace", roleArn="roleArn",
        serviceAccount="serviceAccount",
    ),
    "grafana/workspace:Workspace": _grafana,
    "iam/role:Role": _role,
    "iam/rolePolicy:RolePolicy": _one(
        "iam", "PutRolePolicy", RoleName="role", PolicyName="name", PolicyDocument="policy"
    ),
    "iam/rolePolicyAttachment:RolePolicyAttachment": _one(
        "iam", "AttachRolePolicy", RoleName="role", PolicyArn="policyArn"
    ),
    "kms/alias:Alias": _one("kms", "CreateAlias", AliasName="name", TargetKeyId="targetKeyId"),
    "kms/key:Key": _key,
    "route53/record:Record": _record,
    "s3/bucket:Bucket": _bucket,
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket_lifecycle,
    "s3/bucketOwnershipControls:BucketOwnershipControls": _owner,
    "s3/bucketPolicy:BucketPolicy": _one("s3", "PutBucketPolicy", Bucket="bucket", Policy="policy"),
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _private,
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _encryption,
    "s3/bucketVersioning:BucketVersioning": _versions,
    "sns/topic:Topic": _topic,
    "sns/topicPolicy:TopicPolicy": _topic_policy,
    "sns/topicSubscription:TopicSubscription": _one(
        "sns", "Subscribe", TopicArn="topic", Protocol="protocol", Endpoint="endpoint"
    ),
    "sqs/queue:Queue": _queue,
    "sqs/queuePolicy:QueuePolicy": _queue_policy,
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress,
    "wafv2/webAcl:WebAcl": _web_acl,
}


def documents(kind: str, inputs: Inputs) -> Iterator[tuple[str, dict[str, Any]]]:
    """The IAM documents of a resource, with the part that they play: identity, trust or resource."""
    fields = {
        "ecr/repositoryPolicy:RepositoryPolicy": ("policy", "resource"),
        "iam/role:Role": ("assumeRolePolicy", "trust"),
        "iam/rolePolicy:RolePolicy": ("policy", "identity"),
        "kms/key:Key": ("policy", "resource"),
        "s3/bucketPolicy:BucketPolicy": ("policy", "resource"),
        "sns/topicPolicy:TopicPolicy": ("policy", "resource"),
        "sqs/queuePolicy:QueuePolicy": ("policy", "resource"),
    }
    if kind in fields:
        field, part = fields[kind]
        yield part, json.loads(inputs[field])
