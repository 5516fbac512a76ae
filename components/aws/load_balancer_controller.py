"""LoadBalancerController: makes network and application load balancers of Services, Ingresses and Gateways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components._aws import allow, document, pod_role
from components._base import Component
from components._kubernetes import KubernetesObject
from components._load_balancers import GATEWAY_CLASS
from planner.plan import AwsPlan

__all__ = ["CONTROLLER_VERSION", "GATEWAY_API_VERSION", "LoadBalancerController", "LoadBalancerControllerArgs"]

CONTROLLER_VERSION = "3.5.0"
GATEWAY_API_VERSION = "1.6.0"
"""That the controller is built for."""
_GATEWAY_TYPES = (
    f"https://github.com/kubernetes-sigs/gateway-api/releases/download/v{GATEWAY_API_VERSION}/standard-install.yaml"
)
_NAME, _NAMESPACE = "aws-load-balancer-controller", "kube-system"
_CHARTS = "https://aws.github.io/eks-charts"
_CLUSTER_TAG = "elbv2.k8s.aws/cluster"
_READS = (
    "acm:ListCertificates", "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones", "ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeIpamPools",
    "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
    "ec2:DescribeTags", "ec2:DescribeVpcPeeringConnections", "ec2:DescribeVpcs",
    *(f"elasticloadbalancing:Describe{kind}" for kind in (
        "CapacityReservation", "ListenerAttributes", "ListenerCertificates", "Listeners", "LoadBalancerAttributes",
        "LoadBalancers", "Rules", "SSLPolicies", "Tags", "TargetGroupAttributes", "TargetGroups", "TargetHealth",
        "TrustStores",
    )),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LoadBalancerControllerArgs:
    """What the controller is given.

    Attributes:
        aws: account, region and the cluster's name.
        cluster_name: the cluster, as an output of what makes it.
        vpc_id: its VPC.
    """

    aws: AwsPlan
    cluster_name: pulumi.Input[str]
    vpc_id: pulumi.Input[str]


class LoadBalancerController(Component):
    """The controller on the system nodes, with rights on load balancers of its own cluster.

    Gateway API's types come first: the controller looks for them when it starts. Its own types come with its chart.
    """

    release: pulumi.Resource

    def __init__(self, name: str, args: LoadBalancerControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        plan = args.aws
        _, rights = pod_role(
            self, name, plan=plan, cluster_name=args.cluster_name, namespace=_NAMESPACE, service_accounts=[_NAME],
            role_name=f"{plan.cluster_name}-{plan.region}-lbc", policy=controller_policy(plan),
        )  # fmt: skip
        types = k8s.yaml.v2.ConfigFile(f"{name}-gateway-api", file=_GATEWAY_TYPES, opts=self.child())
        values: dict[str, Any] = {
            "clusterName": plan.cluster_name,
            # Both would be asked of the metadata service, which is out of pods' reach.
            "region": plan.region,
            "vpcId": args.vpc_id,
            "serviceAccount": {"name": _NAME},
            "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
            "defaultTargetType": "ip",
            # Services ask for it by their class; the webhook would claim every Service of type LoadBalancer.
            "enableServiceMutatorWebhook": False,
            "enableShield": False,
            "enableWaf": False,
            "enableWafv2": True,
            "defaultTags": plan.tags,
            "podDisruptionBudget": {"maxUnavailable": 1},
            "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"memory": "400Mi"}},
        }
        self.release = k8s.helm.v3.Release(
            name, name=_NAME, namespace=_NAMESPACE, chart=_NAME, version=CONTROLLER_VERSION,
            repository_opts={"repo": _CHARTS}, values=values, atomic=True, max_history=5, timeout=600,
            opts=self.child(depends_on=[types, *rights]),
        )  # fmt: skip
        KubernetesObject(
            "gateway.networking.k8s.io/v1", "GatewayClass", f"{name}-class", metadata={"name": GATEWAY_CLASS},
            spec={"controllerName": "gateway.k8s.aws/alb"}, opts=self.child(depends_on=[self.release]),
        )  # fmt: skip
        self.register_outputs({})


def controller_policy(plan: AwsPlan) -> str:
    """What the controller calls (https://kubernetes-sigs.github.io/aws-load-balancer-controller/), tied to resources
    that carry its cluster's tag where the service can tell. Classic WAF, Shield, Cognito and IAM certificates are left
    out: nothing here asks for them."""
    elb = "elasticloadbalancing"
    here = {"StringEquals": {"aws:RequestedRegion": plan.region}}
    asked = {"StringEquals": {f"aws:RequestTag/{_CLUSTER_TAG}": plan.cluster_name}}
    owned = {"StringEquals": {f"aws:ResourceTag/{_CLUSTER_TAG}": plan.cluster_name}}
    groups = [plan.arn("ec2", "security-group/*")]
    kinds = ("listener-rule", "listener", "loadbalancer", "targetgroup")
    all_kinds = [plan.arn(elb, f"{kind}/*") for kind in kinds]
    targets, balancers = [plan.arn(elb, "targetgroup/*")], [plan.arn(elb, f"{kind}/*") for kind in kinds[:3]]
    change = [f"{elb}:{action}" for action in (
        "AddListenerCertificates", "DeleteListener", "DeleteLoadBalancer", "DeleteRule", "DeleteTargetGroup",
        "ModifyCapacityReservation", "ModifyListener", "ModifyListenerAttributes", "ModifyLoadBalancerAttributes",
        "ModifyRule", "ModifyTargetGroup", "ModifyTargetGroupAttributes", "RemoveListenerCertificates",
        "SetIpAddressType", "SetSecurityGroups", "SetSubnets",
    )]  # fmt: skip
    make = [f"{elb}:{action}" for action in ("CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup")]
    web_acls = [plan.arn("wafv2", "regional/webacl/*"), plan.arn(elb, "loadbalancer/app/*")]
    role = plan.arn("iam", "role/aws-service-role/elasticloadbalancing.amazonaws.com/*", region="")
    return document(
        allow("Read", _READS, ["*"], here),
        allow("ServiceRole", ["iam:CreateServiceLinkedRole"], [role],
              {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}}),
        allow("MakeGroup", ["ec2:CreateSecurityGroup"], groups, asked),
        allow("MakeGroupInVpc", ["ec2:CreateSecurityGroup"], [plan.arn("ec2", "vpc/*")]),
        allow("TagGroup", ["ec2:CreateTags"], groups,
              {"StringEquals": {**asked["StringEquals"], "ec2:CreateAction": "CreateSecurityGroup"}}),
        allow("ChangeGroup", ["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteSecurityGroup",
                              "ec2:DeleteTags", "ec2:RevokeSecurityGroupIngress"], groups, owned),
        # The cluster's own group is not the controller's, and has to let its load balancers in.
        allow("OpenNodes", ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"], groups,
              {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{plan.cluster_name}": "owned"}}),
        allow("Make", [*make, f"{elb}:AddTags"], all_kinds, asked),
        allow("Change", [*change, f"{elb}:AddTags", f"{elb}:RemoveTags", *make], [*balancers, *targets], owned),
        allow("Register", [f"{elb}:DeregisterTargets", f"{elb}:RegisterTargets"], targets, owned),
        allow("ReadNamed", ["acm:DescribeCertificate", "ec2:GetSecurityGroupsForVpc"],
              [plan.arn("acm", "certificate/*"), plan.arn("ec2", "vpc/*")]),
        allow("Protect", ["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACL",
                          "wafv2:GetWebACLForResource"], web_acls),
        # Asked by the firewall on the controller's behalf, and known to no resource.
        allow("ProtectBalancer", [f"{elb}:SetWebAcl"], ["*"], here),
    )  # fmt: skip
