"""The pulumi engine against a stand-in for the CLI that plays back events of the real one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from llmos.engines import pulumi
from llmos.engines.base import EngineRun
from llmos.paths import PROJECT_ROOT
from planner.faults import UserFault
from tests.llmos.engines.pulumi_standin import Reply, Standin, kubectl, needs_scripts, recorded

pytestmark = needs_scripts


def test_preview_gives_one_action_for_each_object(standin: Standin, run: EngineRun, tmp_path: Path) -> None:
    standin.answer("preview", Reply(events=recorded("preview")))
    actions = pulumi.preview(run)
    assert {action.action for action in actions} == {"create"}
    kinds = Counter(action.kind for action in actions)
    assert kinds["Deployment"] == 2 and kinds["Namespace"] == 1 and kinds["NodePool"] == 1
    assert not [a for a in actions if a.type.startswith(("pulumi:", "llmagentos:"))]
    (namespace,) = [action for action in actions if action.kind == "Namespace"]
    assert (namespace.type, namespace.namespace, namespace.name) == ("kubernetes:core/v1:Namespace", "", "assistant")
    assert {a.namespace for a in actions if a.kind == "Deployment"} == {"assistant"}
    (call,) = standin.calls("preview")
    assert call["cwd"] == str(tmp_path / "cache" / "pulumi" / "dev" / "work")
    assert call["kubeconfig"] == str(run.kubeconfig)
    words = call["argv"]
    assert words[words.index("--policy-pack") + 1] == str(PROJECT_ROOT / "policies")
    assert words[words.index("--policy-pack-config") + 1] == str(PROJECT_ROOT / "policies" / "config" / "dev.json")
    assert "--refresh" not in words


def test_up_previews_first_and_masks_secret_outputs(standin: Standin, run: EngineRun, said: list[str]) -> None:
    standin.answer("preview", Reply(events=recorded("preview")))
    standin.answer("up", Reply(events=recorded("up")))
    standin.answer(
        "stack output",
        Reply(stdout='{"namespace": "assistant", "key": "[secret]"}'),
        Reply(stdout='{"namespace": "assistant", "key": "s3cr3t"}'),
    )
    result = pulumi.up(run)
    assert result.changed
    assert result.outputs == {"namespace": "assistant", "key": "[secret]"}
    assert [call["argv"][0] for call in standin.calls() if call["argv"][0] in ("preview", "up")] == ["preview", "up"]
    assert [line for line in said if line.startswith("  created Deployment")]
    assert not [line for line in said if "s3cr3t" in line]


def test_an_up_without_changes_says_so(standin: Standin, run: EngineRun, said: list[str]) -> None:
    standin.answer("up", Reply(events=recorded("up_again")))
    result = pulumi.up(run, previewed=True)
    assert {action.action for action in result.actions} == {"same"}
    assert not result.changed
    assert not [line for line in said if line.startswith("  ")]
    assert not standin.calls("preview")


def test_destroy_removes_the_state_in_the_cache(standin: Standin, run: EngineRun, tmp_path: Path) -> None:
    standin.answer("destroy", Reply(events=recorded("destroy")))
    result = pulumi.destroy(run)
    assert {action.action for action in result.actions} == {"delete"}
    assert not (tmp_path / "cache" / "pulumi" / "dev").exists()


def test_destroy_keeps_the_history_in_a_backend_of_the_user(
    standin: Standin, run: EngineRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    standin.answer("destroy", Reply(events=recorded("destroy")))
    pulumi.destroy(run)
    assert (tmp_path / "cache" / "pulumi" / "dev").exists()
    assert not standin.calls("stack rm")


def test_a_missing_stack_is_created(standin: Standin, run: EngineRun) -> None:
    standin.answer("stack select", Reply(stderr="error: no stack named 'dev' found", exit_code=255))
    standin.answer("preview", Reply(events=recorded("preview")))
    pulumi.preview(run)
    assert [call["argv"][2] for call in standin.calls("stack init")] == ["dev"]


def test_a_namespace_of_the_other_engine_is_refused(standin: Standin, run: EngineRun, tmp_path: Path) -> None:
    kubectl(tmp_path, owner="kubectl")
    for work in (pulumi.preview, pulumi.up):
        with pytest.raises(UserFault, match="belongs to the kubectl engine"):
            work(run)
    assert not standin.calls()


def test_a_replaced_cluster_is_read_again(standin: Standin, run: EngineRun, tmp_path: Path) -> None:
    standin.answer("up", Reply(events=recorded("up_again")))
    pulumi.up(run, previewed=True)
    pulumi.up(run, previewed=True)
    kubectl(tmp_path, owner="pulumi", uid="2")
    pulumi.up(run, previewed=True)
    assert ["--refresh" in call["argv"] for call in standin.calls("up")] == [False, False, True]


def test_status_tells_the_last_run(standin: Standin, run: EngineRun) -> None:
    status = pulumi.status(run)
    assert (status.last, status.result, status.finished) == ("update", "succeeded", "2026-01-02T03:05:05")
    assert status.backend == ""


def test_offline_is_not_for_this_engine(standin: Standin, tmp_path: Path) -> None:
    offline = EngineRun(
        stack="dev", stack_file=PROJECT_ROOT / "Pulumi.dev.yaml", environment="dev", namespace="a", offline=True
    )
    with pytest.raises(UserFault, match="--offline"):
        pulumi.preview(offline)


def test_a_refresh_says_what_the_cluster_had_done(standin: Standin, run: EngineRun, said: list[str]) -> None:
    standin.answer("refresh", Reply(events=recorded("refresh")))
    changed = {(a.action, a.kind, a.name) for a in pulumi.refresh(run).actions if a.action != "same"}
    assert changed == {("update", "Deployment", "helper"), ("delete", "PodDisruptionBudget", "chat")}
    (call,) = standin.calls("refresh")
    assert "--clear-pending-creates" in call["argv"]
    assert not [line for line in said if "deleted" in line], "nothing was deleted but in the state"
