"""The schema that editors read and the reference that people read, against the models that decide."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from jsonschema import Draft202012Validator

from llmos.reference.__main__ import DOCUMENTS
from llmos.reference.schema import schema, settings_schema
from llmos.stacks import CONFIG_KEY
from planner.faults import UserFault
from planner.settings import parse
from tests.settings_strategies import mutated, settings
from tests.support import ROOT

STACK_FILES = sorted([*ROOT.glob("Pulumi.*.yaml"), *ROOT.glob("examples/**/Pulumi.*.yaml")])
VALUES = Draft202012Validator(settings_schema())
FILES = Draft202012Validator(schema())
APPLICATION = {"image": {"build": "./app"}}


def accepted(raw: Any) -> bool:
    try:
        parse(raw, where="test")
    except UserFault:
        return False
    return True


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_are_current(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == DOCUMENTS[name](), "run venv/bin/python -m llmos.reference"


def test_the_schema_is_one_and_explains_every_key() -> None:
    Draft202012Validator.check_schema(schema())
    models = schema()["$defs"]
    keys = {f"{name}.{key}": value for name, model in models.items() for key, value in model["properties"].items()}
    assert len(keys) > 80
    silent = [key for key, value in keys.items() if not value.get("description") and "$ref" not in json.dumps(value)]
    assert not silent


def patterns(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        for item in value.values():
            yield from patterns(item)
    elif isinstance(value, list):
        for item in value:
            yield from patterns(item)


def test_patterns_mean_the_same_to_an_editor() -> None:
    found = set(patterns(schema()))
    assert found
    # ECMAScript, JSON Schema's dialect, has no named groups of Python's form, no \A and \Z, and an ASCII-only \w.
    assert not [pattern for pattern in found if re.search(r"\(\?P|\\[AZw]|\(\?[ims]", pattern)]


@pytest.mark.parametrize("path", STACK_FILES, ids=lambda path: path.name)
def test_stack_files_name_the_schema_and_keep_to_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    line = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    assert line and (path.parent / line[1]).resolve() == ROOT / "docs" / "stack.schema.json"
    assert not [error.message for error in FILES.iter_errors(yaml.safe_load(text))]


def test_the_reference_has_every_key_with_its_bounds_and_default() -> None:
    text = (ROOT / "docs" / "stack-reference.md").read_text(encoding="utf-8")
    for model in schema()["$defs"].values():
        for key in model["properties"]:
            assert f"| `{key}` |" in text, key
    port = next(line for line in text.splitlines() if line.startswith("| `port` | whole number from 1024"))
    assert "to 65535" in port and "`8000`" in port and "container listens" in port


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=mutated())
def test_the_schema_accepts_what_parse_accepts(raw: dict[str, Any]) -> None:
    if accepted(raw):
        assert not [error.message for error in VALUES.iter_errors(raw)]


def test_the_drawn_settings_are_often_valid() -> None:
    found: list[bool] = []

    @hypothesis_settings(max_examples=200, deadline=None, database=None, derandomize=True,
                         suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(raw=settings())
    def draw(raw: dict[str, Any]) -> None:
        found.append(accepted(raw))

    draw()
    assert sum(found) > len(found) / 3, "otherwise the law above says nothing"


MISTAKES = {
    "unknown key": {"target": "local", "applications": {"a": {**APPLICATION, "replicaz": 3}}},
    "unknown key at the top": {"target": "local", "applications": {"a": APPLICATION}, "budjet": {}},
    "value outside its bounds": {"target": "local", "applications": {"a": {**APPLICATION, "port": 80}}},
    "text for a number": {"target": "local", "applications": {"a": {**APPLICATION, "port": "8000"}}},
    "quoted amount of money": {"target": "local", "applications": {"a": APPLICATION}, "budget": {"usd_per_month": "9"}},
    "tag for a digest": {"target": "local", "applications": {"a": {"image": {"ref": "app:v1"}}}},
    "image from nowhere": {"target": "local", "applications": {"a": {"image": {}}}},
    "memory without a unit's form": {
        "target": "local", "applications": {"a": {**APPLICATION, "resources": {"memory": "512MB"}}},
    },
    "name that is none": {"target": "local", "applications": {"My_App": APPLICATION}},
    "name too long": {"target": "local", "applications": {"a" * 41: APPLICATION}},
    "no application": {"target": "local", "applications": {}},
    "unknown target": {"target": "lokal", "applications": {"a": APPLICATION}},
    "kubernetes without a context": {"target": "kubernetes", "environment": "dev", "applications": {"a": APPLICATION}},
    "vLLM without hardware": {
        "target": "local", "applications": {"a": APPLICATION}, "models": {"m": {"source": "Qwen/Qwen3-8B"}},
    },
    "hardware that is neither map nor auto": {
        "target": "local", "applications": {"a": APPLICATION},
        "models": {"m": {"source": "Qwen/Qwen3-8B", "hardware": "big"}},
    },
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_editor_marks_the_mistake(mistake: str) -> None:
    raw = MISTAKES[mistake]
    assert not accepted(raw)
    assert list(VALUES.iter_errors(raw))
    assert list(FILES.iter_errors({"config": {CONFIG_KEY: raw}}))


def test_a_file_is_checked_as_a_whole() -> None:
    good = {"config": {CONFIG_KEY: {"target": "local", "applications": {"a": APPLICATION}}, "aws:region": "eu-west-1"}}
    assert FILES.is_valid({**good, "encryptionsalt": "v1:abc"})
    assert not FILES.is_valid({}) and not FILES.is_valid({"config": {"llmagentos:stak": {}}})
