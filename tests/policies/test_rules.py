"""Every rule with what it must report, what it must let pass, and a value it needs and does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.policies import (
    cases_aws,
    cases_aws_entries,
    cases_cluster,
    cases_edges,
    cases_models,
    cases_signatures,
    cases_volumes,
    cases_workloads,
)
from tests.policies.support import BY_ID, PROTECT, UNKNOWN, ask, edited

_CASES = (
    cases_aws, cases_aws_entries, cases_models, cases_volumes, cases_workloads, cases_cluster, cases_edges,
    cases_signatures,
)  # fmt: skip
FAIL = [case for cases in _CASES for case in cases.FAIL]
PASS = [case for cases in _CASES for case in cases.PASS]
UNKNOWN_AT = [case for cases in _CASES for case in cases.UNKNOWN_AT]
# A release is opaque whatever it contains, a warning gives way to the rule it warns of, and what is protected needs no
# other value; where it is not, see test_an_unknown_permission_is_none.
_NEVER_UNKNOWN = {"opaque-release", "budget-warning", "replace-protection"}


@pytest.mark.parametrize(("rule_id", "edits", "path", "config"), FAIL)
def test_reports(rule_id: str, edits: list[Any], path: str, config: dict[str, Any]) -> None:
    found = ask(rule_id, edited(*edits), config)
    assert found.rows, "nothing was found"
    assert path in {row[1] for row in found.rows}, found.rows


@pytest.mark.parametrize(("rule_id", "edits", "config"), PASS)
def test_lets_pass(rule_id: str, edits: list[Any], config: dict[str, Any]) -> None:
    found = ask(rule_id, edited(*edits), config)
    assert found.clean, found


@pytest.mark.parametrize(("rule_id", "name", "path", "config"), UNKNOWN_AT)
def test_unknown_never_passes(rule_id: str, name: str, path: str, config: dict[str, Any]) -> None:
    found = ask(rule_id, edited((name, path, UNKNOWN)), config)
    assert not found.clean
    assert path in found.unchecked or path in {row[1] for row in found.rows}, found


@pytest.mark.parametrize(
    ("name", "path"),
    [("llm-stack", "allowReplace"), ("llm-stack", "allowReplace[0]"), ("Deployment/chat", "metadata.name")],
)
def test_an_unknown_permission_is_none(name: str, path: str) -> None:
    allowed = ("llm-stack", "allowReplace", ["Deployment/chat"])
    found = ask("replace-protection", edited(("Deployment/chat", PROTECT, False), allowed, (name, path, UNKNOWN)))
    assert not found.clean


@pytest.mark.parametrize("rule_id", sorted(BY_ID))
def test_every_rule_has_cases(rule_id: str) -> None:
    assert any(case[0] == rule_id for case in FAIL)
    if rule_id not in _NEVER_UNKNOWN:
        assert any(case[0] == rule_id for case in UNKNOWN_AT)


def test_a_signature_that_cosign_itself_made_is_verified_without_asking_anybody() -> None:
    """``cosign sign --key cosign.key --tlog-upload=false`` of cosign 2.6.0, as a registry keeps it."""
    made = json.loads((Path(__file__).parent / "cosign_signature.json").read_text(encoding="utf-8"))
    image = f"registry.example.com/team/app@{made['digest']}"
    stated = {"signatures": [{"payload": made["payload"], "signature": made["signature"]}]}
    path = "spec.template.spec.containers[0].image"
    one = {name: document for name, document in edited(("Deployment/app", path, image)).items()
           if name in ("Deployment/app", "llm-stack")}  # fmt: skip
    one["llm-stack"]["properties"]["release"] = stated
    own = one["Deployment/app"]["spec"]["template"]["spec"]
    own["containers"], own["initContainers"] = own["containers"][:1], []
    assert ask("image-signature", one, {"public_keys": [made["public_key"]]}).clean
    stated["signatures"][0]["signature"] = made["signature"].replace("MEUC", "MEUD", 1)
    assert not ask("image-signature", one, {"public_keys": [made["public_key"]]}).clean
