"""What providers would answer, as far as the program needs it when it runs without them.

For Kubernetes nothing is needed. On AWS much hangs together by ids and ARNs that AWS makes; tests and offline runs get
ones of the right form, made of the resource's own name. Nothing here reaches AWS, and nothing of it is shown as real.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

__all__ = ["BALANCERS", "answer", "balancer", "outputs", "read"]

_ID_PREFIXES = {
    "ec2/eip:Eip": "eipalloc", "ec2/flowLog:FlowLog": "fl", "ec2/internetGateway:InternetGateway": "igw",
    "ec2/launchTemplate:LaunchTemplate": "lt", "ec2/natGateway:NatGateway": "nat",
    "ec2/route:Route": "r", "ec2/routeTable:RouteTable": "rtb", "ec2/securityGroup:SecurityGroup": "sg",
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": "sg", "ec2/subnet:Subnet": "subnet", "ec2/vpc:Vpc": "vpc",
    "ec2/vpcEndpoint:VpcEndpoint": "vpce", "vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr",
}  # fmt: skip
_CERTIFICATE = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _uuid(text: str) -> str:
    found = _hex(text, 32)
    return "-".join((found[:8], found[8:12], found[12:16], found[16:20], found[20:]))


def outputs(token: str, name: str, inputs: Mapping[str, Any], where: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Id and further outputs of a resource of the AWS provider.

    Args:
        token: its type, e.g. ``aws:ec2/vpc:Vpc``.
        name: its logical name.
        inputs: what the program gave it.
        where: ``aws`` of the stack file, for account and region.
    """
    kind = token.removeprefix("aws:")
    if kind in _ID_PREFIXES:
        found = f"{_ID_PREFIXES[kind]}-{_hex(name, 17)}"
        return found, {"id": found, **_of_ec2(kind, found)}
    make = _OUTPUTS.get(kind)
    more = make(inputs, name, _Arn(where)) if make else {}
    return str(more.pop("id", inputs.get("name") or name)), more


class _Arn:
    def __init__(self, where: Mapping[str, Any]) -> None:
        self.account, self.region = str(where.get("account", "")), str(where.get("region", ""))

    def __call__(self, service: str, resource: str, *, region: bool = True) -> str:
        return f"arn:aws:{service}:{self.region if region else ''}:{self.account}:{resource}"


def _of_ec2(kind: str, found: str) -> dict[str, Any]:
    if kind == "ec2/eip:Eip":
        return {"allocationId": found}
    return {"latestVersion": 1} if kind == "ec2/launchTemplate:LaunchTemplate" else {}


def _key(inputs: Mapping[str, Any], name: str, arn: _Arn) -> dict[str, Any]:
    found = _uuid(name)
    return {"id": found, "keyId": found, "arn": arn("kms", f"key/{found}")}


def _cluster(inputs: Mapping[str, Any], name: str, arn: _Arn) -> dict[str, Any]:
    host = f"{_hex(name, 32).upper()}.gr7.{arn.region}.eks.amazonaws.com"
    return {
        "arn": arn("eks", f"cluster/{inputs['name']}"), "endpoint": f"https://{host}",
        "certificateAuthority": {"data": _CERTIFICATE},
        "vpcConfig": {**inputs.get("vpcConfig", {}), "clusterSecurityGroupId": f"sg-{_hex(name, 17)}"},
    }  # fmt: skip


def _repository(inputs: Mapping[str, Any], name: str, arn: _Arn) -> dict[str, Any]:
    return {
        "arn": arn("ecr", f"repository/{inputs['name']}"),
        "repositoryUrl": f"{arn.account}.dkr.ecr.{arn.region}.amazonaws.com/{inputs['name']}",
    }


def _queue(inputs: Mapping[str, Any], name: str, arn: _Arn) -> dict[str, Any]:
    url = f"https://sqs.{arn.region}.amazonaws.com/{arn.account}/{inputs['name']}"
    return {"id": url, "url": url, "arn": arn("sqs", str(inputs["name"]))}


def _certificate(inputs: Mapping[str, Any], name: str, arn: _Arn) -> dict[str, Any]:
    host = inputs["domainName"]
    proof = {
        "domainName": host, "resourceRecordName": f"_{_hex(name, 32)}.{host}.", "resourceRecordType": "CNAME",
        "resourceRecordValue": f"_{_hex(host, 32)}.acm-validations.aws.",
    }
    return {"arn": arn("acm", f"certificate/{_uuid(name)}"), "domainValidationOptions": [proof]}


BALANCERS = (
    "kubernetes:core/v1:Service", "kubernetes:gateway.networking.k8s.io/v1:Gateway",
    "kubernetes:networking.k8s.io/v1:Ingress",
)  # fmt: skip
"""Objects in which a controller writes the name of their load balancer."""


def balancer(name: str) -> dict[str, Any]:
    """The status of such an object."""
    host = f"k8s-{name}-{_hex(name, 10)}.elb.us-east-1.amazonaws.com"
    addresses = [{"type": "Hostname", "value": host}]
    return {"status": {"loadBalancer": {"ingress": [{"hostname": host}]}, "addresses": addresses}}


_OUTPUTS: Mapping[str, Any] = {
    "acm/certificate:Certificate": _certificate,
    "cloudwatch/eventRule:EventRule": lambda i, n, arn: {"arn": arn("events", f"rule/{i['name']}")},
    "cloudwatch/logGroup:LogGroup": lambda i, n, arn: {"arn": arn("logs", f"log-group:{i['name']}")},
    "ecr/repository:Repository": _repository,
    "eks/cluster:Cluster": _cluster,
    "iam/role:Role": lambda i, n, arn: {"arn": arn("iam", f"role/{i['name']}", region=False)},
    "kms/key:Key": _key,
    "s3/bucket:Bucket": lambda i, n, arn: {"id": i["bucket"], "arn": f"arn:aws:s3:::{i['bucket']}"},
    "route53/record:Record": lambda i, n, arn: {"fqdn": i["name"]},
    "amp/workspace:Workspace": lambda i, n, arn: {
        "id": f"ws-{_uuid(n)}", "arn": arn("aps", f"workspace/ws-{_uuid(n)}"),
        "prometheusEndpoint": f"https://aps-workspaces.{arn.region}.amazonaws.com/workspaces/ws-{_uuid(n)}/",
    },
    "sns/topic:Topic": lambda i, n, arn: {"id": arn("sns", i["name"]), "arn": arn("sns", i["name"])},
    "sqs/queue:Queue": _queue,
    "wafv2/webAcl:WebAcl": lambda i, n, arn: {"arn": arn("wafv2", f"regional/webacl/{i['name']}/{_uuid(n)}")},
}


def answer(token: str, arguments: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
    """What a look-up gives. The program makes three: for a cluster by name, for subnets by tags, for a login to ECR.

    Raises:
        NotImplementedError: for any other; structure must not hang on what a provider says.
    """
    arn = _Arn(where)
    if token == "aws:eks/getCluster:getCluster":
        found = _cluster({"name": arguments["name"]}, str(arguments["name"]), arn)
        return {**arguments, **found, "certificateAuthorities": [found["certificateAuthority"]]}
    if token == "aws:ecr/getAuthorizationToken:getAuthorizationToken":
        return {**arguments, "userName": "AWS", "password": "stand-in"}
    if token == "aws:ec2/getSubnets:getSubnets":
        return {**arguments, "id": arn.region, "ids": [f"subnet-{_hex(name, 17)}" for name in ("a", "b")]}
    raise NotImplementedError(f"the program must not ask a provider for anything else ({token})")


def read(token: str, name: str, *, outputs: Any = None) -> dict[str, Any]:
    """What reading a resource gives that exists already: the outputs of another stack, or what stands for them."""
    if token != "pulumi:pulumi:StackReference":
        raise NotImplementedError(f"the program must not read a {token}")
    return {"name": name, "outputs": outputs or {"kubeconfig": "stand-in"}, "secretOutputNames": []}
