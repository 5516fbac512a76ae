"""SpendingLimit: the stack's budget, as AWS Budgets counts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components._base import Component
from planner.plan import AwsPlan

__all__ = ["SpendingLimit", "SpendingLimitArgs"]

# Forecast: in time to act. Actual: it has happened.
_NOTICES = (("FORECASTED", 100), ("ACTUAL", 80), ("ACTUAL", 100))


@dataclass(frozen=True, kw_only=True)
class SpendingLimitArgs:
    """What a limit is given.

    Attributes:
        aws: account, tags, addresses and the stack's budget.
        stack: the stack's name.
    """

    aws: AwsPlan
    stack: str


class SpendingLimit(Component):
    """A monthly cost budget of everything that carries the stack's tag. It counts what is billed, hours later; policies
    hold the stack to the same figure before anything is bought.

    AWS counts by a tag only after it was activated as a cost allocation tag, once in an account.
    """

    def __init__(self, name: str, args: SpendingLimitArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        plan = args.aws
        tag, value = next(iter(plan.tags.items()))
        notices: list[dict[str, Any]] = [
            {
                "comparison_operator": "GREATER_THAN", "notification_type": kind, "threshold": percent,
                "threshold_type": "PERCENTAGE", "subscriber_email_addresses": list(plan.alert_emails),
            }
            for kind, percent in _NOTICES
        ]  # fmt: skip
        aws.budgets.Budget(
            name,
            name=f"llmagentos-{args.stack}",
            budget_type="COST",
            limit_amount=f"{plan.budget_usd:.2f}",
            limit_unit="USD",
            time_unit="MONTHLY",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:{tag}${value}"]}],
            notifications=notices if plan.alert_emails else None,
            opts=self.child(),
        )
        self.register_outputs({})
