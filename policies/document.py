"""Writes the rules' reference: ``python3 -m policies.document`` renders docs/policies.md."""

from __future__ import annotations

import json
from pathlib import Path

from policies.rules import RULES
from policies.rules._rule import Rule

__all__ = ["DOCUMENT", "document"]

_PACK = Path(__file__).resolve().parent
DOCUMENT = _PACK.parent / "docs" / "policies.md"
_ENVIRONMENTS = ("dev", "staging", "prod")

_INTRODUCTION = """\
# Policies

Generated from the rules by `python3 -m policies.document`; a test keeps it current.

The pack in `policies/` judges what is really deployed: resource properties, never annotations meant for people. It runs
under `pulumi up --policy-pack policies --policy-pack-config policies/config/dev.json`, under every engine of `llmos`,
and on any YAML by `python3 -m llmos check FILE --env dev`. Without a configuration it applies prod, the strictest
environment.

- **Levels**: `mandatory` stops the deployment, `advisory` is printed, `remediate` corrects the property where the rule
  can (marked below) and is mandatory where it cannot, `disabled` is off. Each environment's file sets them per rule.
- **Exemptions** stand in the same file: `"RULE": {"exemptions": [{"object": "Deployment/ns/name", "owner": "...",
  "reason": "...", "expires": "2027-03-31"}]}`, optionally for one `control`; `*` is a wildcard. An expired one counts
  for nothing, and the finding says so.
- **Unknown values**: what a rule cannot check at preview it says; at `up` the same is a violation. Budgets do not wait:
  a value that decides a budget must be known at preview, because afterwards the machines are bought.
- **Values are never printed**, because any of them may be a secret: findings name the object and the property's path.
- A rule that fails by itself is reported as that rule's finding; the others go on.
"""


def document() -> str:
    """The whole page."""
    levels = {
        name: json.loads((_PACK / "config" / f"{name}.json").read_text(encoding="utf-8")) for name in _ENVIRONMENTS
    }
    rows = ["| rule | dev | staging | prod | what it demands |", "|---|---|---|---|---|"]
    for rule in RULES:
        cells = " | ".join(_level(rule, levels[name].get(rule.id)) for name in _ENVIRONMENTS)
        rows.append(f"| [{rule.id}](#{rule.id}) | {cells} | {rule.title} |")
    return "\n".join([_INTRODUCTION, *rows, "", *(_section(rule) for rule in RULES)])


def _level(rule: Rule, configured: object) -> str:
    if isinstance(configured, str):
        return configured
    if isinstance(configured, dict):
        return str(configured.get("enforcementLevel", rule.level))
    return rule.level


def _section(rule: Rule) -> str:
    lines = [f"## {rule.id}", "", f"{rule.title} {rule.why}", "", f"To fix: {rule.fix}.", ""]
    if rule.controls:
        lines += [f"Controls: {', '.join(f'`{control}`' for control in rule.controls)}.", ""]
    lines += [f"Sources: {', '.join(f'<{source}>' for source in rule.sources)}.", ""]
    if rule.remediate is not None:
        lines += ["Can remediate.", ""]
    lines += [
        f"- `{name}` (default `{json.dumps(option.default)}`): {option.about}" for name, option in rule.options.items()
    ]
    return "\n".join([*lines, ""] if rule.options else lines)


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(), encoding="utf-8")
