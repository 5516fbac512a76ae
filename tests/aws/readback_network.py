"""What is stored about the network: the VPC and what is in it, launch templates, names, certificates, the web ACL."""

from __future__ import annotations

from typing import Any

from tests.aws.readback_support import Found, Inputs, Readers, named

__all__ = ["READERS"]


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
    found = named(table["Routes"], DestinationCidrBlock=i["destinationCidrBlock"])
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


def _certificate(account: Any, i: Inputs) -> Found:
    client = account.client("acm")
    summary = named(client.list_certificates()["CertificateSummaryList"], DomainName=i["domainName"])
    found = client.describe_certificate(CertificateArn=summary["CertificateArn"])["Certificate"]
    yield "proof", i["validationMethod"], found["DomainValidationOptions"][0]["ValidationMethod"]


def _record(account: Any, i: Inputs) -> Found:
    records = account.client("route53").list_resource_record_sets(HostedZoneId=i["zoneId"])["ResourceRecordSets"]
    found = named(records, Name=i["name"].rstrip(".") + ".", Type=i["type"])
    yield "values", i["records"], [record["Value"] for record in found["ResourceRecords"]]
    yield "ttl", i["ttl"], found["TTL"]


def _web_acl(account: Any, i: Inputs) -> Found:
    client = account.client("wafv2")
    summary = named(client.list_web_acls(Scope=i["scope"])["WebACLs"], Name=i["name"])
    found = client.get_web_acl(Name=i["name"], Scope=i["scope"], Id=summary["Id"])["WebACL"]
    yield "rules", [(rule["name"], rule["priority"]) for rule in i["rules"]], [
        (rule["Name"], rule["Priority"]) for rule in found["Rules"]
    ]
    yield "default", ["Allow"], list(found["DefaultAction"])


READERS: Readers = {
    "acm/certificate:Certificate": _certificate,
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
    "route53/record:Record": _record,
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress,
    "wafv2/webAcl:WebAcl": _web_acl,
}
