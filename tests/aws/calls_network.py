"""Network resources as API calls: the VPC and what is in it, launch templates, names, certificates, the web ACL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.aws.calls_support import SELF, Inputs, Makers, Row, one, spec_of, tagged, tags_of, up

__all__ = ["CALLS"]


def _vpc(i: Inputs) -> Iterator[Row]:
    yield "ec2", "CreateVpc", {"CidrBlock": i["cidrBlock"], "TagSpecifications": spec_of(i, "vpc")}
    for field in ("enableDnsSupport", "enableDnsHostnames"):
        yield "ec2", "ModifyVpcAttribute", {"VpcId": SELF, field[:1].upper() + field[1:]:
                                            {"Value": i[field]}}  # fmt: skip


def _subnet(i: Inputs) -> Iterator[Row]:
    yield "ec2", "CreateSubnet", {
        "VpcId": i["vpcId"], "CidrBlock": i["cidrBlock"], "AvailabilityZone": i["availabilityZone"],
        "TagSpecifications": spec_of(i, "subnet"),
    }  # fmt: skip


def _endpoint(i: Inputs) -> Iterator[Row]:
    yield "ec2", "CreateVpcEndpoint", {
        "VpcId": i["vpcId"], "ServiceName": i["serviceName"], "VpcEndpointType": i["vpcEndpointType"],
        "PrivateDnsEnabled": i.get("privateDnsEnabled"), "SubnetIds": i.get("subnetIds"),
        "SecurityGroupIds": i.get("securityGroupIds"), "RouteTableIds": i.get("routeTableIds"),
        "TagSpecifications": spec_of(i, "vpc-endpoint"),
    }  # fmt: skip


def _ingress(i: Inputs) -> Iterator[Row]:
    permission = {
        "IpProtocol": i["ipProtocol"], "FromPort": i["fromPort"], "ToPort": i["toPort"],
        "IpRanges": [{"CidrIp": i["cidrIpv4"]}],
    }  # fmt: skip
    yield "ec2", "AuthorizeSecurityGroupIngress", {"GroupId": i["securityGroupId"], "IpPermissions": [permission]}


def _default_group(i: Inputs) -> Iterator[Row]:
    among = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": SELF}]}
    out = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    yield "ec2", "RevokeSecurityGroupIngress", {"GroupId": SELF, "IpPermissions": [among]}
    yield "ec2", "RevokeSecurityGroupEgress", {"GroupId": SELF, "IpPermissions": [out]}


def _template(i: Inputs) -> Iterator[Row]:
    def disk(found: Inputs) -> dict[str, Any]:
        ebs = up(found["ebs"])
        for flag in ("Encrypted", "DeleteOnTermination"):
            ebs[flag] = ebs[flag] == "true"
        return {"DeviceName": found["deviceName"], "Ebs": ebs}

    data = {
        "MetadataOptions": up(i["metadataOptions"]),
        "BlockDeviceMappings": [disk(found) for found in i["blockDeviceMappings"]],
        "TagSpecifications": [
            {"ResourceType": spec["resourceType"], "Tags": tags_of(spec)} for spec in i["tagSpecifications"]
        ],
    }
    if "capacityReservationSpecification" in i:
        data["CapacityReservationSpecification"] = up(i["capacityReservationSpecification"])
    yield "ec2", "CreateLaunchTemplate", {"LaunchTemplateName": i["name"], "LaunchTemplateData": data}


def _flow_log(i: Inputs) -> Iterator[Row]:
    yield "ec2", "CreateFlowLogs", {
        "ResourceIds": [i["vpcId"]], "ResourceType": "VPC", "TrafficType": i["trafficType"],
        "LogDestination": i["logDestination"], "LogDestinationType": "cloud-watch-logs",
        "DeliverLogsPermissionArn": i["iamRoleArn"], "TagSpecifications": spec_of(i, "vpc-flow-log"),
    }  # fmt: skip


def _record(i: Inputs) -> Iterator[Row]:
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
    overrides = [{"Name": o["name"], "ActionToUse": up(o["actionToUse"])} for o in group["ruleActionOverrides"]]
    return {"ManagedRuleGroupStatement": {
        "VendorName": group["vendorName"], "Name": group["name"], "RuleActionOverrides": overrides,
    }}  # fmt: skip


def _visibility(found: Inputs) -> dict[str, Any]:
    seen = found["visibilityConfig"]
    return {
        "SampledRequestsEnabled": seen["sampledRequestsEnabled"], "MetricName": seen["metricName"],
        "CloudWatchMetricsEnabled": seen["cloudwatchMetricsEnabled"],
    }  # fmt: skip


def _web_acl(i: Inputs) -> Iterator[Row]:
    rules = []
    for rule in i["rules"]:
        made = {"Name": rule["name"], "Priority": rule["priority"], "Statement": _statement(rule["statement"])}
        for key in ("action", "overrideAction"):
            if key in rule:
                made[key[:1].upper() + key[1:]] = up(rule[key])
        rules.append({**made, "VisibilityConfig": _visibility(rule)})
    yield "wafv2", "CreateWebACL", {
        "Name": i["name"], "Scope": i["scope"], "DefaultAction": up(i["defaultAction"]), "Rules": rules,
        "VisibilityConfig": _visibility(i),
    }  # fmt: skip


def _tag(i: Inputs) -> Iterator[Row]:
    yield "ec2", "CreateTags", {"Resources": [i["resourceId"]], "Tags": [{"Key": i["key"], "Value": i["value"]}]}


CALLS: Makers = {
    "acm/certificate:Certificate": one(
        "acm", "RequestCertificate", DomainName="domainName", ValidationMethod="validationMethod"
    ),
    "acm/certificateValidation:CertificateValidation": one(
        "acm", "DescribeCertificate", CertificateArn="certificateArn"
    ),
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": _default_group,
    "ec2/eip:Eip": tagged("ec2", "AllocateAddress", "elastic-ip", Domain="domain"),
    "ec2/flowLog:FlowLog": _flow_log,
    "ec2/internetGateway:InternetGateway": tagged("ec2", "CreateInternetGateway", "internet-gateway"),
    "ec2/launchTemplate:LaunchTemplate": _template,
    "ec2/natGateway:NatGateway": tagged(
        "ec2", "CreateNatGateway", "natgateway", SubnetId="subnetId", AllocationId="allocationId"
    ),
    "ec2/route:Route": one(
        "ec2", "CreateRoute", RouteTableId="routeTableId", DestinationCidrBlock="destinationCidrBlock",
        GatewayId="gatewayId", NatGatewayId="natGatewayId",
    ),
    "ec2/routeTable:RouteTable": tagged("ec2", "CreateRouteTable", "route-table", VpcId="vpcId"),
    "ec2/routeTableAssociation:RouteTableAssociation": one(
        "ec2", "AssociateRouteTable", RouteTableId="routeTableId", SubnetId="subnetId"
    ),
    "ec2/securityGroup:SecurityGroup": tagged(
        "ec2", "CreateSecurityGroup", "security-group", GroupName="name", Description="description", VpcId="vpcId"
    ),
    "ec2/subnet:Subnet": _subnet,
    "ec2/tag:Tag": _tag,
    "ec2/vpc:Vpc": _vpc,
    "ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "route53/record:Record": _record,
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress,
    "wafv2/webAcl:WebAcl": _web_acl,
}
