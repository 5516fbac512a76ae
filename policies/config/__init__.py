"""The limits of each environment, ``<env>.json``, in the form of ``--policy-pack-config``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pulumi_policy import EnforcementLevel

__all__ = ["initial"]


def initial(environment: str) -> dict[str, EnforcementLevel | dict[str, Any]]:
    """An environment's configuration in the form the SDK wants for a pack's initial one."""
    text = (Path(__file__).parent / f"{environment}.json").read_text(encoding="utf-8")
    return {rule: _convert(value) for rule, value in json.loads(text).items()}


def _convert(value: str | dict[str, Any]) -> EnforcementLevel | dict[str, Any]:
    if isinstance(value, str):
        return EnforcementLevel(value)
    if "enforcementLevel" in value:
        return {**value, "enforcementLevel": EnforcementLevel(value["enforcementLevel"])}
    return value
