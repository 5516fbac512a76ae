"""Alarms: who is told, and of what on the side of AWS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components._aws import allow, deny_without_tls, document, key
from components._base import Component
from planner.plan import AwsPlan

__all__ = ["Alarms", "AlarmsArgs"]

_PERIOD_SECONDS = 300
_QUEUE_AGE_SECONDS = 120
_METRICS = "LLMAgentOS"


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """What alarms are given.

    Attributes:
        aws: account, region, the cluster's name and the addresses.
        topic: name of the SNS topic.
        nat_ids: NAT gateways by zone.
        durable: outside dev.
        interruptions: whether Karpenter's queue is there to be watched.
    """

    aws: AwsPlan
    topic: str
    nat_ids: Sequence[tuple[str, pulumi.Input[str]]]
    durable: bool
    interruptions: bool = True


class Alarms(Component):
    """A topic that mails people, and alarms of what Prometheus in the cluster cannot see: the NAT gateway out of ports,
    interruption warnings that nobody reads, and shells opened in pods, which the audit log tells.

    Outputs:
        topic_arn: the topic, for alerts of others.
    """

    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        self._args, plan = args, args.aws
        arn = plan.arn("sns", args.topic)
        # The key of AWS itself for SNS would not let CloudWatch publish.
        own = {"StringEquals": {"aws:SourceAccount": plan.account}}
        use = allow("Publishers", ["kms:Decrypt", "kms:GenerateDataKey*"], ["*"], own,
                    Principal={"Service": ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]})  # fmt: skip
        encryption, _ = key(
            self, name, plan=plan, alias=f"llmagentos/{args.topic}", durable=args.durable,
            description=f"Alarms of {args.topic}", more=[use],
        )  # fmt: skip
        topic = aws.sns.Topic(name, name=args.topic, kms_master_key_id=encryption.arn, opts=self.child())
        publish = allow("Publish", ["sns:Publish"], [arn], own,
                        Principal={"Service": ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]})  # fmt: skip
        aws.sns.TopicPolicy(
            name, arn=topic.arn, policy=document(publish, deny_without_tls("sns:Publish", [arn])), opts=self.child()
        )
        for number, address in enumerate(plan.alert_emails):
            aws.sns.TopicSubscription(
                f"{name}-{number}", topic=topic.arn, protocol="email", endpoint=address, opts=self.child()
            )
        self.topic_arn = topic.arn
        self._watch(name)
        self.register_outputs({"topic_arn": self.topic_arn})

    def _watch(self, name: str) -> None:
        plan = self._args.aws
        for zone, nat in self._args.nat_ids:
            self._alarm(
                f"{name}-nat-{zone}", "no port was free for a connection to the internet", namespace="AWS/NATGateway",
                metric="ErrorPortAllocation", dimensions={"NatGatewayId": nat}, statistic="Sum", above=0,
            )
        if self._args.interruptions:
            self._alarm(
                f"{name}-interruptions", "Karpenter does not read what EC2 warns of", namespace="AWS/SQS",
                metric="ApproximateAgeOfOldestMessage", dimensions={"QueueName": f"{plan.cluster_name}-interruptions"},
                statistic="Maximum", above=_QUEUE_AGE_SECONDS,
            )
        shells = f"{plan.cluster_name}-shells"
        aws.cloudwatch.LogMetricFilter(
            f"{name}-shells",
            name=shells,
            log_group_name=f"/aws/eks/{plan.cluster_name}/cluster",
            pattern='{ ($.verb = "create") && ($.objectRef.subresource = "exec") }',
            metric_transformation={"name": shells, "namespace": _METRICS, "value": "1", "default_value": "0"},
            opts=self.child(),
        )
        self._alarm(
            f"{name}-shells", "somebody opened a shell in a pod; the audit log says who", namespace=_METRICS,
            metric=shells, dimensions={}, statistic="Sum", above=0,
        )

    def _alarm(
        self, name: str, about: str, *, namespace: str, metric: str, dimensions: dict[str, Any], statistic: str,
        above: float,
    ) -> None:  # fmt: skip
        aws.cloudwatch.MetricAlarm(
            name,
            name=f"{self._args.aws.cluster_name}-{name}",
            alarm_description=f"{self._args.aws.cluster_name}: {about}",
            namespace=namespace,
            metric_name=metric,
            dimensions=dimensions or None,
            statistic=statistic,
            comparison_operator="GreaterThanThreshold",
            threshold=above,
            period=_PERIOD_SECONDS,
            evaluation_periods=1,
            # Quiet services report nothing, and nothing is no fault.
            treat_missing_data="notBreaching",
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
            opts=self.child(),
        )
