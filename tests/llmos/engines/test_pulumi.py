"""The pulumi engine against a stand-in for the CLI that plays back events of the real one."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from llmos.engines import pulumi
from llmos.engines.base import EngineRun
from llmos.paths import PROJECT_ROOT
from planner.faults import EnvironmentFault, UserFault
from tests.llmos.engines.pulumi_standin import Reply, Standin, install, needs_scripts

pytestmark = needs_scripts
RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> list[dict[str, object]]:
    """Events of the dev stack as the CLI sent them, machine-specific paths and debug lines left out."""
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """The stand-in, first on the PATH of a user who is logged in nowhere."""
    standin = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([str(standin.bin), os.environ["PATH"]]))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    kubectl(tmp_path, owner="pulumi")
    return standin


@pytest.fixture
def said() -> list[str]:
    """What the engine reported as progress."""
    return []


@pytest.fixture
def run(tmp_path: Path, standin: Standin, said: list[str]) -> EngineRun:
    return EngineRun(
        stack="dev", stack_file=PROJECT_ROOT / "Pulumi.dev.yaml", environment="dev", namespace="assistant",
        kubeconfig=tmp_path / "kubeconfig", kubectl=tmp_path / "kubectl", progress=said.append,
    )  # fmt: skip


def kubectl(folder: Path, *, owner: str, uid: str = "1") -> None:
    """A kubectl that knows one namespace, whose label names its owner."""
    answer = json.dumps({"kind": "Namespace", "metadata": {"uid": uid, "labels": {"llmagentos.dev/engine": owner}}})
    (folder / "kubectl").write_text(f"#!{sys.executable}\nprint({answer!r})\n", encoding="utf-8")
    (folder / "kubectl").chmod(0o755)


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


def test_each_mandatory_violation_is_a_fault_and_nothing_is_deployed(standin: Standin, run: EngineRun) -> None:
    standin.answer("preview", Reply(events=recorded("policy"), exit_code=255, stderr="error: preview failed"))
    with pytest.raises(UserFault) as caught:
        pulumi.up(run)
    assert not standin.calls("up")
    (fault,) = caught.value.faults
    assert fault.where == "the stack"
    assert fault.what.startswith("policy monthly-cost: the stack takes 588 USD a month")
    assert fault.fix == "take less, or raise the limit in Pulumi.dev.yaml to 588 USD a month"


def test_an_object_that_the_cluster_refuses_is_named_with_the_reason(standin: Standin, run: EngineRun) -> None:
    standin.answer("up", Reply(events=recorded("refused"), exit_code=255, stderr="error: update failed"))
    with pytest.raises(UserFault) as caught:
        pulumi.up(run, previewed=True)
    (fault,) = caught.value.faults
    assert fault.where.startswith("Deployment ")
    assert "Not_A_Hostname" in fault.what
    assert "error occurred" not in fault.what
    assert "update failed" not in str(caught.value)


def test_faults_that_the_program_states_pass_through_unchanged(standin: Standin, run: EngineRun) -> None:
    standin.answer("preview", Reply(events=recorded("stated"), exit_code=255, stderr="error: preview failed"))
    with pytest.raises(UserFault) as caught:
        pulumi.preview(run)
    assert [str(fault) for fault in caught.value.faults] == [
        "Pulumi.dev.yaml: applications.a.port: 99999 is too large (1 to 65535)\n  did you mean 9999?\n"
        "  To fix: choose one",
        "Pulumi.dev.yaml: models: two\n  To fix: b",
    ]


def test_a_plugin_that_cannot_be_downloaded_is_named(standin: Standin, run: EngineRun) -> None:
    standin.answer("preview", Reply(events=recorded("plugin"), exit_code=255, stderr="error: preview failed"))
    with pytest.raises(EnvironmentFault) as caught:
        pulumi.preview(run)
    (fault,) = caught.value.faults
    assert "pulumi-resource-kubernetes" in fault.what
    assert "get.pulumi.com" in fault.fix


def locked(pid: int, host: str) -> Reply:
    said = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the "
        "lock file with `pulumi cancel`.\n"
        f"  file:///state/.pulumi/locks/dev.json: created by ada@{host} (pid {pid}) at 2026-01-02T03:04:05Z"
    )
    return Reply(stderr=said, exit_code=255)


def test_the_lock_of_a_dead_run_on_this_machine_is_broken(standin: Standin, run: EngineRun, said: list[str]) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    standin.answer("up", locked(dead.pid, socket.gethostname()), Reply(events=recorded("up_again")))
    assert not pulumi.up(run, previewed=True).changed
    assert len(standin.calls("cancel")) == 1
    assert [line for line in said if f"process {dead.pid}" in line]


def test_what_a_killed_run_created_is_adopted_before_up(standin: Standin, run: EngineRun) -> None:
    quota = {
        "urn": "urn:q", "type": "kubernetes:core/v1:ResourceQuota",
        "inputs": {"metadata": {"name": "stack", "namespace": "assistant"}},
    }  # fmt: skip
    image = {"urn": "urn:i", "type": "docker-build:index:Image", "inputs": {}}
    pending = [{"type": "creating", "resource": quota}, {"type": "creating", "resource": image}]
    deployment = {"version": 3, "deployment": {"resources": [], "pending_operations": pending}}
    standin.answer("stack export", Reply(stdout=json.dumps(deployment)))
    standin.answer("up", Reply(events=recorded("up_again")))
    pulumi.up(run, previewed=True)
    done = [call["argv"][:2] for call in standin.calls() if call["argv"][0] in ("stack", "refresh", "up")]
    assert [words[:1] if words[0] != "stack" else words for words in done[2:5]] == [
        ["stack", "import"], ["refresh"], ["stack", "history"]
    ]  # fmt: skip
    assert len(standin.calls("up")) == 1


@pytest.mark.parametrize(
    ("pid", "host"), [(os.getpid(), socket.gethostname()), (1, "another-machine")], ids=["here", "elsewhere"]
)
def test_a_lock_that_may_be_in_use_is_reported_with_its_holder(
    pid: int, host: str, standin: Standin, run: EngineRun
) -> None:
    standin.answer("up", locked(pid, host))
    with pytest.raises(EnvironmentFault) as caught:
        pulumi.up(run, previewed=True)
    (fault,) = caught.value.faults
    assert f"ada on {host} (process {pid})" in fault.what
    assert "pulumi cancel" in fault.fix
    assert not standin.calls("cancel")


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


def test_a_conflict_names_the_owner_of_the_field(standin: Standin, run: EngineRun) -> None:
    standin.answer("up", Reply(events=recorded("conflict"), exit_code=255, stderr="error: update failed"))
    with pytest.raises(UserFault) as caught:
        pulumi.up(run, previewed=True)
    (fault,) = caught.value.faults
    assert fault.where == "Deployment helper"
    assert fault.what == (
        "fields that this stack states belong to somebody else: other set "
        ".spec.template.spec.terminationGracePeriodSeconds"
    )
    assert "--force-conflicts" in fault.fix


def test_taking_fields_over_is_the_providers_own_switch(standin: Standin, run: EngineRun) -> None:
    standin.answer("up", Reply(events=recorded("up_again")))
    pulumi.up(run, previewed=True)
    pulumi.up(dataclasses.replace(run, force_conflicts=True), previewed=True)
    assert [call["force"] for call in standin.calls("up")] == ["", "true"]


def test_a_refresh_says_what_the_cluster_had_done(standin: Standin, run: EngineRun, said: list[str]) -> None:
    standin.answer("refresh", Reply(events=recorded("refresh")))
    changed = {(a.action, a.kind, a.name) for a in pulumi.refresh(run).actions if a.action != "same"}
    assert changed == {("update", "Deployment", "helper"), ("delete", "PodDisruptionBudget", "chat")}
    (call,) = standin.calls("refresh")
    assert "--clear-pending-creates" in call["argv"]
    assert not [line for line in said if "deleted" in line], "nothing was deleted but in the state"


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
