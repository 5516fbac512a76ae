"""Replaces that are refused: what is found, what is allowed, and that the program protects what must stay."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from llmos.cli import run
from llmos.engines.base import EngineAction, EngineRun
from llmos.engines.gates import refuse
from llmos.engines.replaces import GUARDED, replace_findings
from planner.faults import UserFault
from planner.settings import parse
from tests.support import stack_file, synthesised

OLD = EngineAction(
    type="kubernetes:apps/v1:Deployment", kind="Deployment", namespace="assistant", name="chat", action="delete",
    replaces=("spec.selector",),
)  # fmt: skip
NEW = dataclasses.replace(OLD, action="create")


def run_of(**more: Any) -> EngineRun:
    return EngineRun(stack="dev", stack_file=Path("Pulumi.dev.yaml"), environment="dev", namespace="n", **more)


def test_a_replace_is_one_mandatory_finding_in_the_form_of_a_policys() -> None:
    (row,) = replace_findings([OLD, NEW], allowed=())
    assert (row.rule, row.level, row.object) == ("no-replace", "mandatory", "Deployment/assistant/chat")
    assert row.path == "spec.selector"
    assert "--allow-replace Deployment/chat" in row.fix and "allow_replace: [Deployment/chat]" in row.fix
    with pytest.raises(UserFault, match=r"policy no-replace: spec\.selector cannot be changed in place"):
        refuse([OLD, NEW], run_of(allow_replace=("Deployment/other", "Namespace/chat")))
    refuse([OLD, NEW], run_of(allow_replace=("Deployment/chat",)))


@pytest.mark.parametrize("kind", GUARDED)
def test_every_guarded_kind_can_be_allowed_by_name(kind: str) -> None:
    gone = dataclasses.replace(OLD, kind=kind)
    assert len(replace_findings([gone], allowed=())) == 1
    assert not replace_findings([gone], allowed=[f"{kind}/chat"])


@pytest.mark.parametrize(
    "action",
    [
        dataclasses.replace(OLD, replaces=()),
        dataclasses.replace(OLD, kind="Service"),
        dataclasses.replace(OLD, action="update", replaces=()),
    ],
    ids=["a deletion", "another kind", "an update"],
)
def test_what_is_no_loss_is_no_finding(action: EngineAction) -> None:
    assert not replace_findings([action], allowed=())


def protected(raw: dict[str, Any]) -> set[str]:
    return {f"{r.inputs['kind']}/{r.inputs['metadata']['name']}"
            for r in synthesised(raw).resources if r.options.get("protect")}  # fmt: skip


def prod(**more: Any) -> dict[str, Any]:
    raw = stack_file("dev")
    raw["models"]["chat"]["weights"] = {"storage_class": "shared"}
    return {
        **raw, "target": "kubernetes", "environment": "prod", "context": "company",
        "registry": {"server": "reg.example/t"}, "gpu_pool": {"kind": "existing", "selector": {"gpu": "l4"}}, **more,
    }  # fmt: skip


def test_outside_dev_the_engine_itself_refuses_a_replace() -> None:
    durable = {
        "Deployment/assistant", "Deployment/chat", "Deployment/tiny", "Namespace/assistant",
        "PersistentVolumeClaim/chat-weights",
    }  # fmt: skip
    assert protected(prod()) == durable
    assert protected(prod(allow_replace=["Deployment/chat"])) == durable - {"Deployment/chat"}
    assert not protected(stack_file("dev")), "a stack of one's own is destroyed without a second step"


def test_one_run_may_be_allowed_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOS_ALLOW_REPLACE", "Deployment/chat PersistentVolumeClaim/chat-weights")
    assert protected(prod()) == {"Deployment/assistant", "Deployment/tiny", "Namespace/assistant"}


@pytest.mark.parametrize("name", ["chat", "Pod/chat", "Deployment/", "Deployment/Chat"])
def test_only_names_of_guarded_kinds_are_taken(name: str) -> None:
    with pytest.raises(UserFault, match="must be KIND/NAME"):
        parse(stack_file("dev") | {"allow_replace": [name]}, where="Pulumi.dev.yaml")


def test_the_option_takes_the_same_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preview", "--offline", "--allow-replace", "Pod/chat"]) == 1
    assert "`Pod/chat` is not KIND/NAME" in capsys.readouterr().err
