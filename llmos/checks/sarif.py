"""Findings as SARIF 2.1.0, the form in which code hosts show them beside a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmos.checks.findings import Finding, PolicyInfo

__all__ = ["sarif"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(findings: Sequence[Finding], policies: Sequence[PolicyInfo]) -> dict[str, Any]:
    """One run with a rule for each policy and a result for each finding."""
    index = {policy.name: number for number, policy in enumerate(policies)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "llmos check", "rules": [_rule(policy) for policy in policies]}},
                "results": [_result(finding, index) for finding in findings],
            }
        ],
    }


def _rule(policy: PolicyInfo) -> dict[str, Any]:
    return {
        "id": policy.name,
        "shortDescription": {"text": policy.title},
        "fullDescription": {"text": policy.description},
        "help": {"text": f"To fix: {policy.fix}. See {policy.source}"},
        "helpUri": policy.source,
        "properties": {"tags": list(policy.controls)},
    }


def _result(finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    # What the API server itself refuses is no rule of the pack, so it has no index.
    position = {"ruleIndex": index[finding.rule]} if finding.rule in index else {}
    return {
        "ruleId": finding.rule,
        **position,
        "level": "error" if finding.level == "mandatory" else "warning",
        "message": {"text": f"{finding.object}: {finding.message}. To fix: {finding.fix}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": finding.file.replace("\\", "/") or "."}},
                "logicalLocations": [{"fullyQualifiedName": f"{finding.object} {finding.path}".strip()}],
            }
        ],
    }
