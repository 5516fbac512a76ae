"""What is stored about what watches the others: logs, events, alarms, budgets."""

from __future__ import annotations

import json
from typing import Any

from tests.aws.readback_support import Found, Inputs, Readers, named

__all__ = ["READERS"]


def _logs(account: Any, i: Inputs) -> Found:
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix=i["name"])["logGroups"]
    found = named(groups, logGroupName=i["name"])
    yield "days", i["retentionInDays"], found["retentionInDays"]
    yield "key", i.get("kmsKeyId"), found.get("kmsKeyId")


def _rule(account: Any, i: Inputs) -> Found:
    found = account.client("events").describe_rule(Name=i["name"])
    yield "pattern", json.loads(i["eventPattern"]), json.loads(found["EventPattern"])
    yield "state", "ENABLED", found["State"]


def _target(account: Any, i: Inputs) -> Found:
    found = account.client("events").list_targets_by_rule(Rule=i["rule"])["Targets"]
    yield "target", [(i["targetId"], i["arn"])], [(target["Id"], target["Arn"]) for target in found]


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


READERS: Readers = {
    "budgets/budget:Budget": _budget,
    "cloudwatch/logMetricFilter:LogMetricFilter": _metric_filter,
    "cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "cloudwatch/eventRule:EventRule": _rule,
    "cloudwatch/eventTarget:EventTarget": _target,
    "cloudwatch/logGroup:LogGroup": _logs,
}
