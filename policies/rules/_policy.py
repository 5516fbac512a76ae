"""From a rule to a policy of the SDK."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from ._evaluate import evaluate
from ._model import Resource, Stack
from ._node import Node, plain
from ._once import once
from ._rule import Rule

__all__ = ["policy_of"]

_EXEMPTIONS: dict[str, Any] = {
    "type": "array",
    "description": "objects the rule does not apply to, each with who answers for it, why, and until when",
    "items": {
        "type": "object",
        "required": ["object", "owner", "reason", "expires"],
        "additionalProperties": False,
        "properties": {
            "object": {"type": "string", "minLength": 1, "description": "as a finding names it; * and ? are wildcards"},
            "control": {"type": "string", "minLength": 1, "description": "only this control of the rule"},
            "owner": {"type": "string", "minLength": 1},
            "reason": {"type": "string", "minLength": 1},
            "expires": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "the last day"},
        },
    },
}


def policy_of(rule: Rule) -> Policy:
    """The SDK's policy of a rule. Controls travel as tags, so that a client can list them without our code."""
    common: dict[str, Any] = {
        "name": rule.id,
        "description": f"{rule.title} {rule.why}",
        "display_name": rule.title,
        "enforcement_level": EnforcementLevel(rule.level),
        "config_schema": PolicyConfigSchema(
            {name: {**option.schema, "description": option.about} for name, option in rule.options.items()}
            | {"exemptions": _EXEMPTIONS}
        ),
        "tags": list(rule.controls),
        "remediation_steps": rule.fix,
        "url": rule.sources[0],
    }
    if rule.stack_cells is not None:
        return StackValidationPolicy(validate=_validate_stack(rule), **common)
    return ResourceValidationPolicy(
        validate=_validate_resource(rule), remediate=_remediate(rule) if rule.remediate else None, **common
    )


def _validate_resource(rule: Rule) -> Any:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = _resource(args)
        _deliver(rule, resource, Stack(resources=(resource,)), args.get_config(), report)

    return validate


def _validate_stack(rule: Rule) -> Any:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        _deliver(rule, None, _stack(tuple(_resource(found) for found in args.resources)), args.get_config(), report)

    return validate


def _remediate(rule: Rule) -> Any:
    def remediate(args: ResourceValidationArgs) -> Mapping[str, Any] | None:
        assert rule.remediate is not None
        resource = Resource(type=args.resource_type, urn=args.urn, name=args.name, root=Node(plain(args.props)))
        return rule.remediate(resource, args.props)

    return remediate


_shelf = once(lambda props: {})


def _resource(args: ResourceValidationArgs | PolicyResource) -> Resource:
    """The resource as rules see it, made once for all rules."""
    shelf = _shelf(args.props)
    if args.urn not in shelf:
        shelf[args.urn] = Resource(
            type=args.resource_type, urn=args.urn, name=args.name, root=Node(plain(args.props)),
            dependencies=tuple(found.urn for found in getattr(args, "dependencies", ())),
            protect=bool(args.opts.protect),
        )
    return shelf[args.urn]


_stacks: dict[tuple[int, ...], Stack] = {}


def _stack(resources: tuple[Resource, ...]) -> Stack:
    """The same stack for all rules; only the latest is kept."""
    key = tuple(map(id, resources))
    if key not in _stacks:
        _stacks.clear()
        _stacks[key] = Stack(resources=resources)
    return _stacks[key]


def _deliver(
    rule: Rule, resource: Resource | None, stack: Stack, config: Mapping[str, Any], report: ReportViolation
) -> None:
    """Report what was found. What is unknown is advisory at preview, where it is normal, and a violation at `up`."""
    outcome = evaluate(rule, resource=resource, stack=stack, config=config)
    for text, urn in outcome.reports:
        report(text, urn)
    if not outcome.unchecked:
        return
    text = _unchecked_text(outcome.unchecked)
    if not pulumi.runtime.is_dry_run():
        report(text)
        return
    unknown = UnknownValueError(UNKNOWN_STRING_VALUE, [path for _, path in outcome.unchecked])
    unknown.message = text
    raise unknown


def _unchecked_text(unchecked: Iterable[tuple[str, str]]) -> str:
    places = list(unchecked)
    message = "could not be checked, because a value is not known at preview; it is checked, and mandatory, at `up`"
    others = [f"{name}: {path}" for name, path in places[1:]]
    more = (
        f" (also {', '.join(others[:2])}{f' and {len(others) - 2} more' if len(others) > 2 else ''})" if others else ""
    )
    name, path = places[0]
    fix = "nothing, if the value is known by then; otherwise give it in plain"
    return f"{message}{more}\n  At: {path}\n  To fix: {fix}\n  Object: {name}"
