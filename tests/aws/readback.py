"""What a service has stored about a resource, beside what the program asked for: triples (what, asked for, stored)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["READERS"]

Found = Iterator[tuple[str, Any, Any]]
Inputs = Mapping[str, Any]


def _named(items: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The one item with these fields."""
    (found,) = [item for item in items if all(item.get(key) == value for key, value in fields.items())]
    return found


def _tagged(inputs: Inputs, item: dict[str, Any]) -> Found:
    stored = {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}
    yield "tags", inputs.get("tags", {}), {key: stored.get(key) for key in inputs.get("tags", {})}


def _by_name_tag(client: Any, operation: str, key: str, inputs: Inputs) -> dict[str, Any]:
    name = inputs["tags"]["Name"]
    answer = getattr(client, operation)(Filters=[{"Name": "tag:Name", "Values": [name]}])[key]
    (found,) = [item for item in answer if item.get("State") != "deleted"]
    return found


def _vpc(account: Any, i: Inputs) -> Found:
    client = account.client("ec2")
    found = _by_name_tag(client, "describe_vpcs", "Vpcs", i)
    yield "range", i["cidrBlock"], found["CidrBlock"]
    for field, name in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
        attribute = client.describe_vpc_attribute(VpcId=found["VpcId"], Attribute=field)
        yield field, i[field], attribute[name]["Value"]


def _subnet(account: Any, i: Inputs) -> Found:
    found = _by_name_tag(account.client("ec2"), "describe_subnets", "Subnets", i)
    yield "range", i["cidrBlock"], found["CidrBlock"]
    yield "zone", i["availabilityZone"], found["AvailabilityZone"]
    yield "public addresses", i["mapPublicIpOnLaunch"], found["MapPublicIpOnLaunch"]
    yield "vpc", i["vpcId"], found["VpcId"]
    yield from _tagged(i, found)


def _nat(account: Any, i: Inputs) -> Found:
    answer = account.client("ec2").describe_nat_gateways(
        Filter=[{"Name": "tag:Name", "Values": [i["tags"]["Name"]]}]
    )  # fmt: skip
    (found,) = answer["NatGateways"]
    yield "subnet", i["subnetId"], found["SubnetId"]
    yield "address", i["allocationId"], found["NatGatewayAddresses"][0]["AllocationId"]


def _table(account: Any, i: Inputs) -> Found:
    found = _by_name_tag(account.client("ec2"), "describe_route_tables", "RouteTables", i)
    yield "vpc", i["vpcId"], found["VpcId"]


def _route(account: Any, i: Inputs) -> Found:
    (table,) = account.client("ec2").describe_route_tables(RouteTableIds=[i["routeTableId"]])["RouteTables"]
    found = _named(table["Routes"], DestinationCidrBlock=i["destinationCidrBlock"])
    for field, name in (("gatewayId", "GatewayId"), ("natGatewayId", "NatGatewayId")):
        if field in i:
            yield field, i[field], found[name]


def _association(account: Any, i: Inputs) -> Found:
    (table,) = account.client("ec2").describe_route_tables(RouteTableIds=[i["routeTableId"]])["RouteTables"]
    yield "subnet", True, i["subnetId"] in [found.get("SubnetId") for found in table["Associations"]]


def _endpoint(account: Any, i: Inputs) -> Found:
    answer = account.client("ec2").describe_vpc_endpoints(
        Filters=[{"Name": "service-name", "Values": [i["serviceName"]]}, {"Name": "vpc-id", "Values": [i["vpcId"]]}]
    )
    (found,) = answer["VpcEndpoints"]
    yield "type", i["vpcEndpointType"], found["VpcEndpointType"]
    yield "subnets", sorted(i.get("subnetIds", [])), sorted(found.get("SubnetIds", []))
    yield "route tables", sorted(i.get("routeTableIds", [])), sorted(found.get("RouteTableIds", []))


def _ingress(account: Any, i: Inputs) -> Found:
    (group,) = account.client("ec2").describe_security_groups(GroupIds=[i["securityGroupId"]])["SecurityGroups"]
    (found,) = group["IpPermissions"]
    yield "ports", (i["fromPort"], i["toPort"]), (found["FromPort"], found["ToPort"])
    yield "ranges", [i["cidrIpv4"]], [one["CidrIp"] for one in found["IpRanges"]]


def _default_group(account: Any, i: Inputs) -> Found:
    answer = account.client("ec2").describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [i["vpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    )
    (found,) = answer["SecurityGroups"]
    yield "rules out", [], found["IpPermissionsEgress"]


def _template(account: Any, i: Inputs) -> Found:
    answer = account.client("ec2").describe_launch_template_versions(LaunchTemplateName=i["name"])
    data = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    options = data["MetadataOptions"]
    yield "hops", i["metadataOptions"]["httpPutResponseHopLimit"], options["HttpPutResponseHopLimit"]
    yield "tokens", i["metadataOptions"]["httpTokens"], options["HttpTokens"]
    yield "encrypted", [True, True], [disk["Ebs"]["Encrypted"] for disk in data["BlockDeviceMappings"]]


def _flow_log(account: Any, i: Inputs) -> Found:
    answer = account.client("ec2").describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [i["vpcId"]]}])
    (found,) = answer["FlowLogs"]
    yield "traffic", i["trafficType"], found["TrafficType"]
    yield "destination", i["logDestination"], found["LogDestination"]


def _logs(account: Any, i: Inputs) -> Found:
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix=i["name"])["logGroups"]
    found = _named(groups, logGroupName=i["name"])
    yield "days", i["retentionInDays"], found["retentionInDays"]
    yield "key", i.get("kmsKeyId"), found.get("kmsKeyId")


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
    found = _named(account.client("kms").list_aliases()["Aliases"], AliasName=i["name"])
    yield "key", i["targetKeyId"], found["TargetKeyId"]
    rotation = account.client("kms").get_key_rotation_status(KeyId=i["targetKeyId"])
    yield "rotation of its key", True, rotation["KeyRotationEnabled"]


def _queue(account: Any, i: Inputs) -> Found:
    client = account.client("sqs")
    url = client.get_queue_url(QueueName=i["name"])["QueueUrl"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    yield "retention", str(i["messageRetentionSeconds"]), found["MessageRetentionPeriod"]
    yield "encryption", "true", found["SqsManagedSseEnabled"]


def _queue_policy(account: Any, i: Inputs) -> Found:
    found = account.client("sqs").get_queue_attributes(QueueUrl=i["queueUrl"], AttributeNames=["Policy"])
    yield "document", json.loads(i["policy"]), json.loads(found["Attributes"]["Policy"])


def _rule(account: Any, i: Inputs) -> Found:
    found = account.client("events").describe_rule(Name=i["name"])
    yield "pattern", json.loads(i["eventPattern"]), json.loads(found["EventPattern"])
    yield "state", "ENABLED", found["State"]


def _target(account: Any, i: Inputs) -> Found:
    found = account.client("events").list_targets_by_rule(Rule=i["rule"])["Targets"]
    yield "target", [(i["targetId"], i["arn"])], [(target["Id"], target["Arn"]) for target in found]


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


def _certificate(account: Any, i: Inputs) -> Found:
    client = account.client("acm")
    summary = _named(client.list_certificates()["CertificateSummaryList"], DomainName=i["domainName"])
    found = client.describe_certificate(CertificateArn=summary["CertificateArn"])["Certificate"]
    yield "proof", i["validationMethod"], found["DomainValidationOptions"][0]["ValidationMethod"]


def _record(account: Any, i: Inputs) -> Found:
    records = account.client("route53").list_resource_record_sets(HostedZoneId=i["zoneId"])["ResourceRecordSets"]
    found = _named(records, Name=i["name"].rstrip(".") + ".", Type=i["type"])
    yield "values", i["records"], [record["Value"] for record in found["ResourceRecords"]]
    yield "ttl", i["ttl"], found["TTL"]


def _web_acl(account: Any, i: Inputs) -> Found:
    client = account.client("wafv2")
    summary = _named(client.list_web_acls(Scope=i["scope"])["WebACLs"], Name=i["name"])
    found = client.get_web_acl(Name=i["name"], Scope=i["scope"], Id=summary["Id"])["WebACL"]
    yield "rules", [(rule["name"], rule["priority"]) for rule in i["rules"]], [
        (rule["Name"], rule["Priority"]) for rule in found["Rules"]
    ]
    yield "default", ["Allow"], list(found["DefaultAction"])


def _bucket_policy(account: Any, i: Inputs) -> Found:
    found = account.client("s3").get_bucket_policy(Bucket=i["bucket"])
    yield "document", json.loads(i["policy"]), json.loads(found["Policy"])


def _bucket_encryption(account: Any, i: Inputs) -> Found:
    found = account.client("s3").get_bucket_encryption(Bucket=i["bucket"])["ServerSideEncryptionConfiguration"]
    by = found["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    yield "key", i["rules"][0]["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"], by["KMSMasterKeyID"]
    yield "kind", "aws:kms", by["SSEAlgorithm"]


def _bucket_private(account: Any, i: Inputs) -> Found:
    found = account.client("s3").get_public_access_block(Bucket=i["bucket"])["PublicAccessBlockConfiguration"]
    yield "blocked", [True] * 4, sorted(found.values())


def _bucket_versions(account: Any, i: Inputs) -> Found:
    yield "versions", "Enabled", account.client("s3").get_bucket_versioning(Bucket=i["bucket"])["Status"]


def _bucket_owner(account: Any, i: Inputs) -> Found:
    found = account.client("s3").get_bucket_ownership_controls(Bucket=i["bucket"])["OwnershipControls"]
    yield "owner", i["rule"]["objectOwnership"], found["Rules"][0]["ObjectOwnership"]


def _bucket_lifecycle(account: Any, i: Inputs) -> Found:
    (found,) = account.client("s3").get_bucket_lifecycle_configuration(Bucket=i["bucket"])["Rules"]
    (rule,) = i["rules"]
    yield "old versions", rule["noncurrentVersionExpiration"]["noncurrentDays"], (
        found["NoncurrentVersionExpiration"]["NoncurrentDays"]
    )
    yield "parts", rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"], (
        found["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    )


def _topic(account: Any, i: Inputs) -> Found:
    client = account.client("sns")
    (arn,) = [one["TopicArn"] for one in client.list_topics()["Topics"] if one["TopicArn"].endswith(f":{i['name']}")]
    found = client.get_topic_attributes(TopicArn=arn)["Attributes"]
    yield "key", i["kmsMasterKeyId"], found["KmsMasterKeyId"]


def _topic_policy(account: Any, i: Inputs) -> Found:
    found = account.client("sns").get_topic_attributes(TopicArn=i["arn"])["Attributes"]
    yield "document", json.loads(i["policy"]), json.loads(found["Policy"])


def _subscription(account: Any, i: Inputs) -> Found:
    found = account.client("sns").list_subscriptions_by_topic(TopicArn=i["topic"])["Subscriptions"]
    yield "address", True, (i["protocol"], i["endpoint"]) in [(one["Protocol"], one["Endpoint"]) for one in found]


def _alarm(account: Any, i: Inputs) -> Found:
    (found,) = account.client("cloudwatch").describe_alarms(AlarmNames=[i["name"]])["MetricAlarms"]
    yield "metric", (i["namespace"], i["metricName"]), (found["Namespace"], found["MetricName"])
    yield "threshold", i["threshold"], found["Threshold"]
    yield "actions", i["alarmActions"], found["AlarmActions"]
    dimensions = {one["Name"]: one["Value"] for one in found["Dimensions"]}
    yield "dimensions", i.get("dimensions") or {}, dimensions


def _metric_filter(account: Any, i: Inputs) -> Found:
    answer = account.client("logs").describe_metric_filters(logGroupName=i["logGroupName"])
    (found,) = answer["metricFilters"]
    yield "pattern", i["pattern"], found["filterPattern"]


def _budget(account: Any, i: Inputs) -> Found:
    client = account.client("budgets")
    found = client.describe_budget(AccountId="123456789012", BudgetName=i["name"])["Budget"]
    yield "limit", float(i["limitAmount"]), float(found["BudgetLimit"]["Amount"])
    notices = client.describe_notifications_for_budget(AccountId="123456789012", BudgetName=i["name"])
    yield "notices", len(i.get("notifications") or []), len(notices.get("Notifications", []))


READERS: dict[str, Callable[[Any, Inputs], Found]] = {
    "acm/certificate:Certificate": _certificate,
    "budgets/budget:Budget": _budget,
    "cloudwatch/logMetricFilter:LogMetricFilter": _metric_filter,
    "cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "cloudwatch/eventRule:EventRule": _rule,
    "cloudwatch/eventTarget:EventTarget": _target,
    "cloudwatch/logGroup:LogGroup": _logs,
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": _default_group,
    "ec2/flowLog:FlowLog": _flow_log,
    "ec2/launchTemplate:LaunchTemplate": _template,
    "ec2/natGateway:NatGateway": _nat,
    "ec2/route:Route": _route,
    "ec2/routeTable:RouteTable": _table,
    "ec2/routeTableAssociation:RouteTableAssociation": _association,
    "ec2/subnet:Subnet": _subnet,
    "ec2/vpc:Vpc": _vpc,
    "ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "ecr/lifecyclePolicy:LifecyclePolicy": _lifecycle,
    "ecr/repository:Repository": _repository,
    "ecr/repositoryPolicy:RepositoryPolicy": _repository_policy,
    "eks/cluster:Cluster": _cluster,
    "eks/nodeGroup:NodeGroup": _node_group,
    "iam/role:Role": _role,
    "iam/rolePolicy:RolePolicy": _role_policy,
    "iam/rolePolicyAttachment:RolePolicyAttachment": _attachment,
    "kms/alias:Alias": _alias,
    "route53/record:Record": _record,
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket_lifecycle,
    "s3/bucketOwnershipControls:BucketOwnershipControls": _bucket_owner,
    "s3/bucketPolicy:BucketPolicy": _bucket_policy,
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket_private,
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket_encryption,
    "s3/bucketVersioning:BucketVersioning": _bucket_versions,
    "sns/topic:Topic": _topic,
    "sns/topicPolicy:TopicPolicy": _topic_policy,
    "sns/topicSubscription:TopicSubscription": _subscription,
    "sqs/queue:Queue": _queue,
    "sqs/queuePolicy:QueuePolicy": _queue_policy,
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress,
    "wafv2/webAcl:WebAcl": _web_acl,
}
