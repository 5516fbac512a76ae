"""What watches the others, as API calls: logs, events, alarms, budgets, metrics and their dashboards."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from tests.aws.calls_support import Inputs, Makers, Row, one

__all__ = ["CALLS"]


def _log_group(i: Inputs) -> Iterator[Row]:
    yield "logs", "CreateLogGroup", {"logGroupName": i["name"], "kmsKeyId": i.get("kmsKeyId")}
    yield "logs", "PutRetentionPolicy", {"logGroupName": i["name"], "retentionInDays": i["retentionInDays"]}


def _target(i: Inputs) -> Iterator[Row]:
    yield "events", "PutTargets", {"Rule": i["rule"], "Targets": [{"Id": i["targetId"], "Arn": i["arn"]}]}


def _alarm(i: Inputs) -> Iterator[Row]:
    dimensions = [{"Name": key, "Value": value} for key, value in (i.get("dimensions") or {}).items()]
    yield "cloudwatch", "PutMetricAlarm", {
        "AlarmName": i["name"], "AlarmDescription": i["alarmDescription"], "Namespace": i["namespace"],
        "MetricName": i["metricName"], "Dimensions": dimensions, "Statistic": i["statistic"], "Period": i["period"],
        "ComparisonOperator": i["comparisonOperator"], "Threshold": i["threshold"],
        "EvaluationPeriods": i["evaluationPeriods"], "TreatMissingData": i["treatMissingData"],
        "AlarmActions": i["alarmActions"], "OKActions": i["okActions"],
    }  # fmt: skip


def _metric_filter(i: Inputs) -> Iterator[Row]:
    found = i["metricTransformation"]
    made = {
        "metricName": found["name"], "metricNamespace": found["namespace"], "metricValue": found["value"],
        "defaultValue": float(found["defaultValue"]),
    }  # fmt: skip
    yield "logs", "PutMetricFilter", {
        "filterName": i["name"], "logGroupName": i["logGroupName"], "filterPattern": i["pattern"],
        "metricTransformations": [made],
    }  # fmt: skip


def _budget(i: Inputs) -> Iterator[Row]:
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


def _scraper(i: Inputs) -> Iterator[Row]:
    eks, amp = i["source"]["eks"], i["destination"]["amp"]
    yield "amp", "CreateScraper", {
        "alias": i["alias"], "scrapeConfiguration": {"configurationBlob": base64.b64decode(i["scrapeConfiguration"])},
        "source": {"eksConfiguration": eks}, "destination": {"ampConfiguration": amp},
    }  # fmt: skip


def _grafana(i: Inputs) -> Iterator[Row]:
    yield "grafana", "CreateWorkspace", {
        "workspaceName": i["name"], "accountAccessType": i["accountAccessType"],
        "authenticationProviders": i["authenticationProviders"], "permissionType": i["permissionType"],
        "workspaceDataSources": i["dataSources"], "workspaceRoleArn": i["roleArn"],
    }  # fmt: skip


CALLS: Makers = {
    "amp/scraper:Scraper": _scraper,
    "amp/workspace:Workspace": one("amp", "CreateWorkspace", alias="alias"),
    "cloudwatch/eventRule:EventRule": one("events", "PutRule", Name="name", EventPattern="eventPattern"),
    "cloudwatch/eventTarget:EventTarget": _target,
    "cloudwatch/logGroup:LogGroup": _log_group,
    "cloudwatch/logMetricFilter:LogMetricFilter": _metric_filter,
    "cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "budgets/budget:Budget": _budget,
    "grafana/workspace:Workspace": _grafana,
}
