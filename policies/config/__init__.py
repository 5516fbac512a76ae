"""The limits of each environment, ``<env>.json``, in the form of ``--policy-pack-config``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi_policy import EnforcementLevel

__all__ = ["initial"]


def initial(environment: str, levels: Mapping[str, str]) -> dict[str, EnforcementLevel | dict[str, Any]]:
    """An environment's configuration in the form the SDK wants for a pack's initial one.

    ``levels`` are the rules' own. Each entry states a level, because the protocol turns a missing one into advisory.
    """
    text = (Path(__file__).parent / f"{environment}.json").read_text(encoding="utf-8")
    return {rule: _convert(value, levels[rule]) for rule, value in json.loads(text).items()}


def _convert(value: str | dict[str, Any], default: str) -> EnforcementLevel | dict[str, Any]:
    if isinstance(value, str):
        return EnforcementLevel(value)
    return {**value, "enforcementLevel": EnforcementLevel(value.get("enforcementLevel", default))}
