"""A Markdown audit of a stack for a security review: what was checked, what passed, what did not, what is exempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llmos.checks.findings import Finding, PackResource, PolicyInfo

__all__ = ["controls_table", "report"]


def report(
    *, environment: str, resources: Sequence[PackResource], findings: Sequence[Finding], exempt: Sequence[Finding],
    policies: Sequence[PolicyInfo], config: Mapping[str, Mapping[str, Any]],
) -> str:
    """The audit as text; ``exempt`` are the findings that valid exemptions hold back."""
    lines = [
        "# Policy audit", "",
        f"Environment `{environment}`, {len(resources)} objects, {_active(policies, config)} of {len(policies)} "
        f"rules active.",
        "", "## Result", "",
        f"- mandatory findings: {sum(finding.level == 'mandatory' for finding in findings)}",
        f"- advisory findings: {sum(finding.level == 'advisory' for finding in findings)}",
        f"- exempt: {len(exempt)}",
    ]
    lines += ["", "## Objects", "", *_objects(resources)]
    lines += ["", "## Rules", "", *_rules(findings, exempt, policies, config)]
    lines += ["", "## Findings", "", *(_finding(finding) for finding in findings)] if findings else []
    lines += ["", "## Exemptions", "", *_exemptions(config)]
    return "\n".join(lines) + "\n"


def controls_table(policies: Sequence[PolicyInfo]) -> tuple[tuple[str, str, str], ...]:
    """Every control with its rule and the rule's title, sorted by control."""
    rows = {(control, policy.name, policy.title) for policy in policies for control in policy.controls}
    return tuple(sorted(rows))


def _active(policies: Sequence[PolicyInfo], config: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(config[policy.name]["enforcementLevel"] != "disabled" for policy in policies)


def _objects(resources: Sequence[PackResource]) -> list[str]:
    counts = Counter(resource.type for resource in resources)
    return ["| type | count |", "|---|---|", *(f"| `{kind}` | {count} |" for kind, count in sorted(counts.items()))]


def _rules(
    findings: Sequence[Finding], exempt: Sequence[Finding], policies: Sequence[PolicyInfo],
    config: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    broken, excused = Counter(finding.rule for finding in findings), Counter(finding.rule for finding in exempt)
    rows = ["| rule | level | result | what it demands |", "|---|---|---|---|"]
    for policy in policies:
        level = config[policy.name]["enforcementLevel"]
        result = f"{broken[policy.name]} findings" if broken[policy.name] else "passed"
        result = "not checked" if level == "disabled" else result
        result += f", {excused[policy.name]} exempt" if excused[policy.name] else ""
        rows.append(f"| {policy.name} | {level} | {result} | {policy.title} |")
    return rows


def _finding(finding: Finding) -> str:
    place = f" at `{finding.path}`" if finding.path else ""
    control = f" ({finding.control})" if finding.control else ""
    where = finding.object or "the stack"
    return f"- **{finding.rule}** {finding.level}: `{where}`{place}: {finding.message}. To fix: {finding.fix}{control}"


def _exemptions(config: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [
        f"| {rule} | `{row['object']}` | {row['owner']} | {row['reason']} | {row['expires']} |"
        for rule, settings in config.items()
        for row in settings.get("exemptions", [])
    ]
    return ["| rule | object | owner | reason | expires |", "|---|---|---|---|---|", *rows] if rows else ["None."]
