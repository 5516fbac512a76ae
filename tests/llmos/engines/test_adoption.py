"""Objects that exist already: refused unless named, Secrets in any case, a namespace never let go unasked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from llmos.cli import run as llmos
from llmos.engines.adoption import adoption_findings, may_adopt
from llmos.engines.base import EngineAction, EngineRun
from llmos.engines.gates import gate_findings, refuse
from llmos.engines.planned import is_foreign
from planner.faults import UserFault
from planner.plan import make_plan
from planner.settings import parse
from tests.support import stack_file

THERE = EngineAction(
    type="kubernetes:core/v1:Service", kind="Service", namespace="n", name="chat", action="create", adopts=True
)


def run_of(**more: Any) -> EngineRun:
    return EngineRun(stack="dev", stack_file=Path("Pulumi.dev.yaml"), environment="dev", namespace="n", **more)


def test_what_exists_is_refused_in_the_form_of_a_policys_finding() -> None:
    (row,) = adoption_findings([THERE, dataclasses.replace(THERE, adopts=False)], allowed=())
    assert (row.rule, row.level, row.object) == ("no-adopt", "mandatory", "Service/n/chat")
    assert "--adopt Service/chat" in row.fix and "endpoint: {create: false}" in row.fix
    with pytest.raises(UserFault, match="policy no-adopt: it exists already"):
        refuse([THERE], run_of())


@pytest.mark.parametrize("allowed", ["Service/chat", "Service/*", "*/chat"])
def test_it_is_taken_over_by_name(allowed: str) -> None:
    assert not gate_findings([THERE], run_of(adopt=("Service/other", allowed)))


def test_a_secret_is_never_taken_over_because_its_key_would_be_lost() -> None:
    secret = dataclasses.replace(THERE, kind="Secret", name="keys")
    (row,) = adoption_findings([secret], allowed=["*/*", "Secret/keys"])
    assert "secrets: {API_KEYS: {secret: keys" in row.fix and "--adopt" not in row.fix
    assert not may_adopt({"kind": "Secret", "metadata": {"name": "keys"}}, allowed=["*/*"])


def test_a_namespace_is_not_deleted_while_its_stack_lives() -> None:
    gone = EngineAction(type="t", kind="Namespace", namespace="", name="n", action="delete")
    (row,) = gate_findings([gone], run_of())
    assert row.rule == "no-replace" and "everything in it goes" in row.message
    assert not gate_findings([gone], run_of(allow_replace=("Namespace/n",)))
    assert not gate_findings([dataclasses.replace(gone, kind="Deployment")], run_of()), "removed from the stack file"


@pytest.mark.parametrize(
    ("kind", "labels", "foreign"),
    [
        ("Service", {"applyset.kubernetes.io/part-of": "ours"}, False),
        ("Service", {"applyset.kubernetes.io/part-of": "another"}, True),
        ("Service", {"app.kubernetes.io/instance": "dev"}, True),
        ("Namespace", {"llmagentos.dev/engine": "kubectl"}, False),
        ("Namespace", {}, True),
    ],
)
def test_what_carries_the_stacks_mark_is_its_own(kind: str, labels: dict[str, str], foreign: bool) -> None:
    assert is_foreign({"kind": kind, "metadata": {"labels": labels}}, applyset_id="ours") is foreign


def test_names_in_the_stack_file_reach_the_plan() -> None:
    settings = parse(stack_file("dev") | {"adopt": ["Service/*"]}, where="Pulumi.dev.yaml")
    assert make_plan(settings, stack="dev").adopt == ("Service/*",)
    for name in ("service/chat", "Service", "Service/"):
        with pytest.raises(UserFault, match="must be KIND/NAME"):
            parse(stack_file("dev") | {"adopt": [name]}, where="Pulumi.dev.yaml")


def test_aws_makes_its_endpoints_itself(capsys: pytest.CaptureFixture[str]) -> None:
    raw = stack_file("dev") | {"target": "aws"}
    raw["applications"]["assistant"]["endpoint"]["create"] = False
    with pytest.raises(UserFault, match="remove create: false"):
        parse(raw, where="Pulumi.dev.yaml")


def test_the_option_is_one_of_up_and_preview(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("up", "preview"):
        llmos([command, "--help"])
        assert "--adopt KIND/NAME" in capsys.readouterr().out
