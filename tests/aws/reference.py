"""AWS's service authorization reference: which actions exist, on which resources, under which conditions.

Read from the data file of parliament, without its code, which needs a module that newer Pythons do not bring.
"""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Action", "action"]

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_GLOBAL = re.compile(
    r"aws:(RequestTag/.+|ResourceTag/.+|TagKeys|RequestedRegion|SourceArn|SourceAccount|SecureTransport|PrincipalArn)$"
)


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action.

    Attributes:
        level: List, Read, Write, Tagging or Permissions management.
        required: ARN patterns of the resources that it must be allowed on.
        known: those that it may be allowed on; empty where only ``*`` works.
        conditions: keys beside the global ones.
    """

    level: str
    required: tuple[str, ...]
    known: tuple[str, ...]
    conditions: tuple[str, ...]

    def takes_condition(self, key: str) -> bool:
        """Whether the service evaluates this condition key for the action."""
        patterns = [re.sub(r"\\\$\\\{.*?\\\}", ".+", re.escape(pattern)) for pattern in self.conditions]
        return bool(_GLOBAL.match(key)) or any(re.fullmatch(pattern, key, re.IGNORECASE) for pattern in patterns)


@cache
def _services() -> dict[str, dict[str, Any]]:
    spec = importlib.util.find_spec("parliament")
    assert spec and spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / "iam_definition.json"
    return {service["prefix"]: service for service in json.loads(file.read_text(encoding="utf-8"))}


@cache
def action(name: str) -> Action | None:
    """The action, ``None`` where there is no such one."""
    prefix, _, call = name.partition(":")
    service = _services().get(prefix)
    for privilege in service["privileges"] if service else ():
        if privilege["privilege"].lower() == call.lower():
            return _action(service or {}, privilege)
    return None


def _action(service: dict[str, Any], privilege: dict[str, Any]) -> Action:
    arns = {kind["resource"]: kind for kind in service["resources"]}
    kinds = [kind for kind in privilege["resource_types"] if kind["resource_type"]]
    names = [kind["resource_type"].rstrip("*") for kind in kinds]
    keys = [key for kind in privilege["resource_types"] for key in kind["condition_keys"]]
    keys += [key for name in names if name in arns for key in arns[name]["condition_keys"]]
    return Action(
        level=privilege["access_level"],
        required=tuple(
            arns[kind["resource_type"].rstrip("*")]["arn"]
            for kind in kinds
            if kind["resource_type"].endswith("*") and kind["resource_type"].rstrip("*") in arns
        ),
        known=tuple(arns[name]["arn"] for name in names if name in arns),
        conditions=tuple(keys),
    )
