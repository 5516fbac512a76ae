"""Network: the VPC of a cluster, or one that exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components._aws import allow, document, service_trust
from components._base import Component
from planner.plan import AwsPlan, NetworkPlan, SubnetPlan

__all__ = ["Network", "NetworkArgs"]

_INTERFACES = ("ecr.api", "ecr.dkr", "sts")
_FLOW_LOG_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What a network is given.

    Attributes:
        aws: account, region and the cluster's name.
        network: the plan's decisions: addresses and zones, or ids.
        subnet_tag: key of the tag by which Karpenter finds subnets for nodes.
    """

    aws: AwsPlan
    network: NetworkPlan
    subnet_tag: str


class Network(Component):
    """A VPC with private subnets for nodes, public ones for NAT gateways and load balancers, and endpoints so that
    images, weights and credentials do not pass the NAT. Of a VPC that exists, only the subnets are tagged.

    Outputs:
        vpc_id: the VPC.
        private_subnet_ids: subnets for nodes and the control plane's interfaces.
    """

    vpc_id: pulumi.Output[str]
    private_subnet_ids: list[pulumi.Input[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self._prefix, self._args = name, args
        self.routes: list[pulumi.Resource] = []
        self.nat_ids: list[tuple[str, pulumi.Output[str]]] = []
        if args.network.vpc_id:
            self.vpc_id = pulumi.Output.from_input(args.network.vpc_id)
            self.private_subnet_ids = list(args.network.private_subnet_ids)
            self._tag_subnets()
        else:
            self._make()
        self.register_outputs({"vpc_id": self.vpc_id, "private_subnet_ids": self.private_subnet_ids})

    def _tag_subnets(self) -> None:
        tags = {self._args.subnet_tag: "shared", "kubernetes.io/role/internal-elb": "1"}
        for subnet in self._args.network.private_subnet_ids:
            for number, (key, value) in enumerate(tags.items()):
                aws.ec2.Tag(
                    f"{self._prefix}-{subnet}-tag-{number}", resource_id=subnet, key=key, value=value, opts=self.child()
                )

    def _tags(self, name: str, **more: str) -> dict[str, str]:
        return {"Name": f"{self._args.aws.cluster_name}-{name}", **more}

    def _make(self) -> None:
        vpc = aws.ec2.Vpc(
            f"{self._prefix}-vpc",
            cidr_block=self._args.network.cidr,
            # Interface endpoints answer under the service's usual name only with both.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self.child(),
        )
        self.vpc_id = vpc.id
        # Without rules: what is put into the default group by mistake reaches nothing.
        aws.ec2.DefaultSecurityGroup(f"{self._prefix}-default", vpc_id=vpc.id, opts=self.child())
        gateway = aws.ec2.InternetGateway(
            f"{self._prefix}-internet", vpc_id=vpc.id, tags=self._tags("internet"), opts=self.child()
        )
        public = {s.zone: self._subnet(vpc, s) for s in self._args.network.subnets if s.public}
        private = {s.zone: self._subnet(vpc, s) for s in self._args.network.subnets if not s.public}
        out = self._table(vpc, "public", list(public.values()))
        self._default_route("public", out, gateway_id=gateway.id)
        nats = {zone: self._nat(zone, public[zone], gateway) for zone in self._args.network.nat_zones}
        self.nat_ids = [(zone, nat.id) for zone, nat in nats.items()]
        tables = {zone: self._table(vpc, f"private-{zone}", [subnet]) for zone, subnet in private.items()}
        for zone, table in tables.items():
            nat = nats.get(zone) or nats[self._args.network.nat_zones[0]]
            self._default_route(f"private-{zone}", table, nat_gateway_id=nat.id)
        self.private_subnet_ids = [subnet.id for subnet in private.values()]
        self._endpoints(vpc, list(tables.values()))
        self._flow_log(vpc)

    def _subnet(self, vpc: aws.ec2.Vpc, subnet: SubnetPlan) -> aws.ec2.Subnet:
        side = "public" if subnet.public else "private"
        # The load balancer controller finds subnets by the first tag, Karpenter by the second.
        role = {"kubernetes.io/role/elb": "1"} if subnet.public else {
            "kubernetes.io/role/internal-elb": "1", self._args.subnet_tag: "owned",
        }  # fmt: skip
        return aws.ec2.Subnet(
            f"{self._prefix}-{side}-{subnet.zone}",
            vpc_id=vpc.id,
            availability_zone=subnet.zone,
            cidr_block=subnet.cidr,
            map_public_ip_on_launch=False,
            tags=self._tags(f"{side}-{subnet.zone}", **role),
            opts=self.child(),
        )

    def _nat(self, zone: str, subnet: aws.ec2.Subnet, gateway: aws.ec2.InternetGateway) -> aws.ec2.NatGateway:
        tags = self._tags(f"nat-{zone}")
        address = aws.ec2.Eip(f"{self._prefix}-nat-{zone}", domain="vpc", tags=tags, opts=self.child())
        return aws.ec2.NatGateway(
            f"{self._prefix}-nat-{zone}",
            subnet_id=subnet.id,
            allocation_id=address.allocation_id,
            tags=tags,
            opts=self.child(depends_on=[gateway]),
        )

    def _table(self, vpc: aws.ec2.Vpc, name: str, subnets: list[aws.ec2.Subnet]) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(f"{self._prefix}-{name}", vpc_id=vpc.id, tags=self._tags(name), opts=self.child())
        for number, subnet in enumerate(subnets):
            self.routes.append(
                aws.ec2.RouteTableAssociation(
                    f"{self._prefix}-{name}-{number}", route_table_id=table.id, subnet_id=subnet.id, opts=self.child()
                )
            )
        return table

    def _default_route(self, name: str, table: aws.ec2.RouteTable, **target: Any) -> None:
        self.routes.append(
            aws.ec2.Route(
                f"{self._prefix}-{name}-default", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", **target,
                opts=self.child(),
            )
        )

    def _endpoints(self, vpc: aws.ec2.Vpc, tables: list[aws.ec2.RouteTable]) -> None:
        region, cidr = self._args.aws.region, self._args.network.cidr
        group = aws.ec2.SecurityGroup(
            f"{self._prefix}-endpoints",
            vpc_id=vpc.id,
            name=f"{self._args.aws.cluster_name}-endpoints",
            description="Interface endpoints, for the VPC's own addresses",
            tags=self._tags("endpoints"),
            opts=self.child(),
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._prefix}-endpoints-https", security_group_id=group.id, cidr_ipv4=cidr, ip_protocol="tcp",
            from_port=443, to_port=443, opts=self.child(),
        )
        aws.ec2.VpcEndpoint(
            f"{self._prefix}-s3", vpc_id=vpc.id, service_name=f"com.amazonaws.{region}.s3", vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables], tags=self._tags("s3"), opts=self.child(),
        )
        for service in _INTERFACES:
            aws.ec2.VpcEndpoint(
                f"{self._prefix}-{service.replace('.', '-')}",
                vpc_id=vpc.id,
                service_name=f"com.amazonaws.{region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.private_subnet_ids,
                security_group_ids=[group.id],
                tags=self._tags(service.replace(".", "-")),
                opts=self.child(),
            )

    def _flow_log(self, vpc: aws.ec2.Vpc) -> None:
        """Refused connections only: they are what an audit asks for, and accepted ones cost more than the cluster."""
        plan, group = self._args.aws, f"/aws/vpc/{self._args.aws.cluster_name}/refused"
        logs = aws.cloudwatch.LogGroup(
            f"{self._prefix}-refused", name=group, retention_in_days=_FLOW_LOG_DAYS, opts=self.child()
        )
        role = aws.iam.Role(
            f"{self._prefix}-flow-logs",
            name=f"{plan.cluster_name}-{plan.region}-flow-logs",
            assume_role_policy=service_trust(plan, "vpc-flow-logs.amazonaws.com"),
            opts=self.child(),
        )
        actions = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        policy = aws.iam.RolePolicy(
            f"{self._prefix}-flow-logs",
            name="write",
            role=role.name,
            policy=document(allow("Write", actions, [plan.arn("logs", f"log-group:{group}:*")])),
            opts=self.child(),
        )
        aws.ec2.FlowLog(
            f"{self._prefix}-refused", vpc_id=vpc.id, traffic_type="REJECT", log_destination=logs.arn,
            iam_role_arn=role.arn, tags=self._tags("refused"), opts=self.child(depends_on=[policy]),
        )
