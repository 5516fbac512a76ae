"""Replaces that the pulumi engine refuses or is allowed, and what it leaves protected or releases."""

from __future__ import annotations

import dataclasses
import json

import pytest

from llmos.engines import pulumi
from llmos.engines.base import EngineRun
from planner.faults import UserFault
from tests.llmos.engines.pulumi_standin import Reply, Standin, needs_scripts, recorded

pytestmark = needs_scripts


def test_a_replace_is_refused_before_anything_is_deployed(standin: Standin, run: EngineRun, said: list[str]) -> None:
    standin.answer("preview", Reply(events=recorded("replace")))
    with pytest.raises(UserFault) as caught:
        pulumi.up(run)
    assert [fault.where for fault in caught.value.faults] == [
        "Deployment/eng/chat: metadata.namespace", "Deployment/eng/helper: metadata.namespace",
        "Namespace/eng: metadata.name",
    ]  # fmt: skip
    assert not standin.calls("up")
    assert "Deployment chat is replaced: metadata.namespace changed" in said


def test_a_replace_allowed_by_name_goes_on(standin: Standin, run: EngineRun) -> None:
    standin.answer("preview", Reply(events=recorded("replace")))
    standin.answer("up", Reply(events=recorded("up_again")))
    names = ("Deployment/chat", "Deployment/helper", "Namespace/eng")
    pulumi.up(dataclasses.replace(run, allow_replace=names))
    assert len(standin.calls("up")) == 1


def test_a_caller_that_shows_findings_gets_the_actions_of_a_refused_preview(standin: Standin, run: EngineRun) -> None:
    standin.answer("preview", Reply(events=recorded("replace")))
    rows = {(row.kind, row.action): row for row in pulumi.preview(run, refuse=False)}
    assert rows["Deployment", "delete"].replaces == rows["Deployment", "create"].replaces == ("metadata.namespace",)
    assert rows["Namespace", "delete"].name == "eng" and rows["Namespace", "create"].name == "eng2"
    assert rows["NodePool", "same"].replaces == ()
    standin.answer("preview", Reply(events=recorded("policy"), exit_code=255, stderr="error: preview failed"))
    assert pulumi.preview(run, refuse=False), "policies are the caller's to show"
    standin.answer("preview", Reply(events=recorded("stated"), exit_code=255, stderr="error: preview failed"))
    with pytest.raises(UserFault, match="too large"):
        pulumi.preview(run, refuse=False)


def protected_state(standin: Standin) -> None:
    """A state with a protected namespace, workload and volume."""
    def resource(kind: str, name: str, **more: object) -> dict[str, object]:
        return {"urn": f"urn:{name}", "type": f"kubernetes:core/v1:{kind}", "inputs": {"metadata": {"name": name}},
                "protect": True, **more}  # fmt: skip

    resources = [resource("Namespace", "n", retainOnDelete=True), resource("Deployment", "chat"),
                 resource("PersistentVolumeClaim", "chat-weights", retainOnDelete=True)]  # fmt: skip
    standin.answer("stack export", Reply(stdout=json.dumps({"version": 3, "deployment": {"resources": resources}})))


def imported(standin: Standin) -> list[dict[str, object]]:
    """The resources of every state that was written."""
    return [json.loads(str(call["file"]))["deployment"]["resources"] for call in standin.calls("stack import")]


def test_what_is_named_is_released_in_the_state_before_up(standin: Standin, run: EngineRun) -> None:
    protected_state(standin)
    standin.answer("preview", Reply(events=recorded("up_again")))
    standin.answer("up", Reply(events=recorded("up_again")))
    pulumi.up(run)
    assert not standin.calls("stack import"), "nothing is named"
    pulumi.up(dataclasses.replace(run, allow_replace=("PersistentVolumeClaim/chat-weights",)))
    (resources,) = imported(standin)
    assert [sorted({"protect", "retainOnDelete"} & each.keys()) for each in resources] == [  # type: ignore[attr-defined]
        ["protect", "retainOnDelete"], ["protect"], []
    ]  # fmt: skip


def test_destroy_outside_dev_leaves_what_is_protected_but_workloads(
    standin: Standin, run: EngineRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    protected_state(standin)
    standin.answer("destroy", Reply(events=recorded("destroy")))
    result = pulumi.destroy(dataclasses.replace(run, environment="staging"))
    (resources,) = imported(standin)
    assert [bool(each.get("protect")) for each in resources] == [True, False, True]  # type: ignore[attr-defined]
    assert "--exclude-protected" in standin.calls("destroy")[0]["argv"]
    assert "Namespace/n" in result.left and "PersistentVolumeClaim/chat-weights" in result.left
    pulumi.destroy(run)
    assert "--exclude-protected" not in standin.calls("destroy")[1]["argv"], "in dev nothing is protected"
