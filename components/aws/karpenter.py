"""Karpenter: the controller that makes nodes, with the role of the nodes and the queue that warns of interruptions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components._aws import (
    NODE_POLICIES,
    allow,
    attach,
    cache_policy,
    deny_without_tls,
    document,
    pod_role,
    service_trust,
)
from components._base import Component
from components._karpenter_policy import karpenter_policy
from planner.plan import AwsPlan

__all__ = ["KARPENTER_VERSION", "Karpenter", "KarpenterArgs"]

KARPENTER_VERSION = "1.14.1"
"""Of the charts; their images are pinned by digest inside."""
_CHARTS = "oci://public.ecr.aws/karpenter"
_NAMESPACE = "kube-system"
# What EC2 tells beforehand; Karpenter then drains a node instead of losing it.
_EVENTS = {
    "health": ("aws.health", "AWS Health Event"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
    "reservation": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
_QUEUE_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class KarpenterArgs:
    """What Karpenter is given.

    Attributes:
        aws: account, region and the cluster's name.
        cluster_name: the cluster, as an output of what makes it.
        node_role: name of the nodes' IAM role, which workload stacks know too.
        cache_prefixes: repositories that nodes may have ECR fetch.
    """

    aws: AwsPlan
    cluster_name: pulumi.Input[str]
    node_role: str
    cache_prefixes: Sequence[str]


class Karpenter(Component):
    """Karpenter on the system nodes, with rights on machines of its own cluster only.

    Outputs:
        node_role_arn: the role of the nodes that it makes.
    """

    node_role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self._prefix, self._args = name, args
        nodes = self._node_role()
        queue_name = f"{args.aws.cluster_name}-interruptions"
        events = self._queue(queue_name)
        _, rights = pod_role(
            self, name, plan=args.aws, cluster_name=args.cluster_name, namespace=_NAMESPACE,
            service_accounts=["karpenter"], role_name=f"{args.aws.cluster_name}-{args.aws.region}-karpenter",
            policy=karpenter_policy(
                args.aws,
                node_role_arn=args.aws.arn("iam", f"role/{args.node_role}", region=""),
                queue_arn=args.aws.arn("sqs", queue_name),
            ),
        )  # fmt: skip
        definitions = self._chart("karpenter-crd", {}, [])
        self._chart("karpenter", self._values(queue_name), [definitions, *rights, *events, *nodes])
        self.register_outputs({"node_role_arn": self.node_role_arn})

    def _node_role(self) -> list[pulumi.Resource]:
        name, args = f"{self._prefix}-node", self._args
        role = aws.iam.Role(
            f"{name}-role", name=args.node_role, assume_role_policy=service_trust(args.aws, "ec2.amazonaws.com"),
            opts=self.child(),
        )
        self.node_role_arn = role.arn
        ready: list[pulumi.Resource] = attach(self, role, name, args.aws, NODE_POLICIES)
        if args.cache_prefixes:
            policy = cache_policy(args.aws, args.cache_prefixes)
            ready.append(
                aws.iam.RolePolicy(f"{name}-cache", name="cache", role=role.name, policy=policy, opts=self.child())
            )
        # EKS makes this entry for its own node groups only; without it these nodes could not join.
        entry = aws.eks.AccessEntry(
            f"{name}-access", cluster_name=args.cluster_name, principal_arn=role.arn, type="EC2_LINUX",
            opts=self.child(),
        )
        return [*ready, entry]

    def _queue(self, queue_name: str) -> list[pulumi.Resource]:
        plan, name = self._args.aws, self._prefix
        arn = plan.arn("sqs", queue_name)
        queue = aws.sqs.Queue(
            f"{name}-interruptions", name=queue_name, message_retention_seconds=_QUEUE_SECONDS,
            sqs_managed_sse_enabled=True, opts=self.child(),
        )
        from_rules = {"ArnLike": {"aws:SourceArn": plan.arn("events", f"rule/{queue_name}-*")}}
        senders = allow(
            "Events", ["sqs:SendMessage"], [arn], from_rules, Principal={"Service": "events.amazonaws.com"}
        )
        policy = aws.sqs.QueuePolicy(
            f"{name}-interruptions", queue_url=queue.url, policy=document(senders, deny_without_tls("sqs:*", [arn])),
            opts=self.child(),
        )
        made: list[pulumi.Resource] = [policy]
        for event, (source, detail) in _EVENTS.items():
            rule = aws.cloudwatch.EventRule(
                f"{name}-{event}", name=f"{queue_name}-{event}",
                event_pattern=json.dumps({"source": [source], "detail-type": [detail]}, sort_keys=True),
                opts=self.child(),
            )
            made.append(
                aws.cloudwatch.EventTarget(
                    f"{name}-{event}", rule=rule.name, arn=queue.arn, target_id="interruptions", opts=self.child()
                )
            )
        return made

    def _values(self, queue_name: str) -> dict[str, Any]:
        plan = self._args.aws
        return {
            "serviceAccount": {"name": "karpenter"},
            "settings": {"clusterName": plan.cluster_name, "interruptionQueue": queue_name},
            "controller": {
                # The metadata service is out of pods' reach, so the region must be said.
                "env": [{"name": "AWS_REGION", "value": plan.region}],
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            },
        }

    def _chart(self, chart: str, values: dict[str, Any], depends_on: Sequence[pulumi.Resource]) -> pulumi.Resource:
        return k8s.helm.v3.Release(
            chart, name=chart, namespace=_NAMESPACE, chart=f"{_CHARTS}/{chart}", version=KARPENTER_VERSION,
            values=values, skip_crds=True, atomic=True, max_history=5, timeout=600,
            opts=self.child(depends_on=depends_on),
        )
