"""Budgets: money, GPUs, memory and replicas at maximum scale, per stack and per namespace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ._budget import MEASURES, Measure, Scope, limit_of, nearest, over, scopes, sum_up
from ._node import UnknownAt
from ._rule import Check, Context, Option, Rule, Violation

__all__ = ["RULES"]

_LIMIT = {"type": "number", "minimum": 0}
_SOURCE = "https://kubernetes.io/docs/concepts/workloads/autoscaling/"
_OPENCOST = "https://karpenter.sh/docs/concepts/nodepools/#speclimits"


def _options(*measures: str) -> dict[str, Option]:
    limits = {key: Option(schema=_LIMIT, default=None, about=f"limit of the whole stack ({key})") for key in measures}
    per_namespace = {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(measures, _LIMIT)}
    return limits | {
        "namespaces": Option(
            schema={"type": "object", "additionalProperties": per_namespace}, default={},
            about="limits by namespace, `*` for those not named",
        ),
        "environment": Option(
            schema={"type": "string"}, default="", about="name of the environment, so that messages can name its file"
        ),
    }


def _within(measure: Measure) -> Check:
    def check(scope: Scope, context: Context) -> Iterable[Violation]:
        try:
            limit = limit_of(scope, measure, context.config)
        except UnknownAt as unknown:
            yield Violation(path=unknown.path, message="the stack's own budget is not known at preview",
                            fix="state the budget in plain in the stack file")
            return
        if limit is None:
            return
        amounts, problems = sum_up(scope, measure)
        yield from problems
        if sum(share.amount for share in amounts) > limit.value * (1 + 1e-9):
            yield Violation(path="", message=over(scope, measure, limit, amounts), fix=nearest(measure, limit, amounts))

    return check


def _near(scope: Scope, context: Context) -> Iterator[Violation]:
    for measure in MEASURES.values():
        limit = limit_of(scope, measure, context.config)
        if limit is None:
            continue
        amounts, _ = sum_up(scope, measure)
        total = sum(share.amount for share in amounts)
        if limit.value * context.config["share"] <= total <= limit.value and total:
            yield Violation(path="", message=over(scope, measure, limit, amounts))


def _rule(rule_id: str, key: str, what: str, why: str) -> Rule:
    return Rule(
        id=rule_id,
        title=f"A stack and its namespaces stay within their budget of {what} at maximum scale.",
        why=why,
        fix="lower a maximum, or raise the limit",
        sources=(_SOURCE, _OPENCOST),
        controls=("owasp-llm/LLM10:2025",),
        stack_cells=scopes,
        checks=(_within(MEASURES[key]),),
        options=_options(key),
    )


RULES = (
    _rule(
        "monthly-cost",
        "usd_per_month",
        "money",
        "An autoscaler that follows a traffic peak, or an attack, spends "
        "until something stops it; this says beforehand how far it may go.",
    ),
    _rule(
        "gpu-count",
        "gpus",
        "GPUs",
        "GPUs are the scarce part of a cluster: what one stack may take at its peak is missing elsewhere.",
    ),
    _rule(
        "memory-total",
        "memory_gib",
        "memory",
        "Memory limits that add up to more than the cluster has end in evictions.",
    ),
    _rule(
        "replica-count",
        "replicas",
        "replicas",
        "A maximum that was meant for one model, copied to ten, fills a cluster.",
    ),
    Rule(
        id="budget-warning",
        title="A stack that takes 80 % of a budget at maximum scale is reported.",
        why="The next model or replica will be refused; better to know before.",
        fix="plan the next change: lower a maximum, or ask for a higher limit",
        sources=(_SOURCE,),
        stack_cells=scopes,
        checks=(_near,),
        level="advisory",
        options=_options(*MEASURES)
        | {
            "share": Option(
                schema={"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                default=0.8,
                about="share of a limit from which it is reported",
            )
        },
    ),
)
