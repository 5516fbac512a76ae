"""The comment in the documentation is one that the program renders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmos.against.comment import MARKER, comment
from llmos.against.compare import Comparison, HardwareChange, ObjectChange, StackChange
from llmos.against.fields import FieldChange
from tests.support import ROOT

DOCUMENT = ROOT / "docs" / "promotion-comment.md"


def stack(raw: dict[str, Any]) -> StackChange:
    raw = {key: value for key, value in raw.items() if key != "usd_per_month"}
    objects = tuple(
        ObjectChange(**{**item, "changes": tuple(FieldChange(**change) for change in item["changes"])})
        for item in raw["objects"]
    )
    hardware = tuple(HardwareChange(**{**item, "rejected": tuple(item["rejected"])}) for item in raw["hardware"])
    return StackChange(**{**raw, "objects": objects, "hardware": hardware, "cost": tuple(raw["cost"])})


def test_the_example_in_the_documentation(request: pytest.FixtureRequest) -> None:
    """A change of three stacks as ``preview --against main --json`` gave it."""
    raw = json.loads(Path(__file__).with_name("example.json").read_text(encoding="utf-8"))
    comparison = Comparison(**raw["against"], stacks=tuple(map(stack, raw["stacks"])))
    text = comment(comparison).replace(MARKER, "").rstrip() + "\n"
    if request.config.getoption("--update-golden"):
        DOCUMENT.write_text(text, encoding="utf-8", newline="\n")
    assert DOCUMENT.read_text(encoding="utf-8") == text, "if that is meant: --update-golden"
    assert text.startswith("Monthly cost +$839 ($4,113 -> $4,952)\n")
