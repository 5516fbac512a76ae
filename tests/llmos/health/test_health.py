"""`doctor --stack`: what stops a deployment, and the commands that mend it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmos.engines.base import EngineRun
from llmos.health.finding import Finding, of_error
from llmos.health.pulumi_state import pulumi_findings
from llmos.paths import PROJECT_ROOT
from planner.faults import EnvironmentFault, Fault
from tests.llmos.engines.pulumi_standin import Reply, Standin, install, needs_scripts
from tests.llmos.release.conftest import Project, policies, project

__all__ = ["policies", "project"]

RECORDED = Path(__file__).parents[1] / "engines" / "recorded"
QUOTA = {
    "urn": "urn:pulumi:dev::llmagentos::kubernetes:core/v1:ResourceQuota::quota",
    "type": "kubernetes:core/v1:ResourceQuota", "custom": True,
    "inputs": {"metadata": {"name": "stack", "namespace": "assistant"}},
}  # fmt: skip


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    standin = install(tmp_path / "pulumi-bin")
    monkeypatch.setenv("PATH", os.pathsep.join([str(standin.bin), os.environ["PATH"]]))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return standin


@pytest.fixture
def run(standin: Standin) -> EngineRun:
    return EngineRun(
        stack="dev", stack_file=PROJECT_ROOT / "Pulumi.dev.yaml", environment="dev", namespace="assistant",
        kubectl=Path("/bin/false"),
    )  # fmt: skip


def found(run: EngineRun, *, drift: bool = True) -> dict[str, Finding]:
    return {finding.check: finding for finding in pulumi_findings(run, drift=drift)}


def refreshed(*, sound: bool = False) -> list[dict[str, Any]]:
    """A previewed refresh: the recorded one of the real engine, in which an object was changed and one deleted."""
    lines = (RECORDED / "refresh.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        outcome = event.get("resOutputsEvent")
        if outcome:
            outcome["planning"] = True
            if sound:
                outcome["metadata"]["op"] = "same"
    return events


@needs_scripts
def test_a_sound_state(run: EngineRun, standin: Standin) -> None:
    standin.answer("refresh", Reply(events=refreshed(sound=True)))
    assert {name: finding.state for name, finding in found(run).items()} == {
        "state": "ok", "lock": "ok", "pending operations": "ok", "drift": "ok",
    }  # fmt: skip
    (call,) = standin.calls("refresh")
    assert "--preview-only" in call["argv"], "nothing is changed"


@needs_scripts
def test_drift_is_asked_of_the_cluster_unless_that_is_not_wanted(run: EngineRun, standin: Standin) -> None:
    standin.answer("refresh", Reply(events=refreshed()))
    drift = found(run)["drift"]
    assert drift.state == "wrong" and drift.text.startswith("2 objects were changed or deleted since")
    assert "PodDisruptionBudget chat" in drift.text and "Deployment helper" in drift.text
    assert "refresh --stack dev" in drift.mend[0] and drift.mend[1].endswith("up --stack dev --engine pulumi")
    before = len(standin.calls("refresh"))
    assert "drift" not in found(run, drift=False) and len(standin.calls("refresh")) == before


@needs_scripts
def test_operations_that_never_ended(run: EngineRun, standin: Standin) -> None:
    pending = {"resources": [], "pending_operations": [{"type": "creating", "resource": QUOTA}]}
    standin.answer("stack export", Reply(stdout=json.dumps({"version": 3, "deployment": pending})))
    finding = found(run)["pending operations"]
    assert finding.state == "wrong" and "creating ResourceQuota quota" in finding.text
    assert "up --stack dev" in finding.mend[0] and "pulumi refresh" in finding.mend[1]


@needs_scripts
def test_a_held_lock_names_its_holder(run: EngineRun, tmp_path: Path) -> None:
    locks = tmp_path / "cache" / "pulumi" / "dev" / "state" / ".pulumi" / "locks" / "organization" / "llmagentos"
    for name in ("dev", "other"):
        (locks / name).mkdir(parents=True)
    holder = {"pid": 7, "username": "ada", "hostname": "build-1", "timestamp": "2026-11-25T10:00:00Z"}
    (locks / "other" / "1.json").write_text("{}", encoding="utf-8")
    assert found(run, drift=False)["lock"].state == "ok", "another stack's lock"
    (locks / "dev" / "1.json").write_text(json.dumps(holder), encoding="utf-8")
    lock = found(run, drift=False)["lock"]
    assert lock.state == "wrong" and "ada@build-1 (process 7) since 2026-11-25" in lock.text
    cancel = f"pulumi cancel --yes --cwd {tmp_path / 'cache' / 'pulumi' / 'dev' / 'work'} dev"
    assert lock.mend == ("wait for that run to end", f"only when it is certainly dead: {cancel}")
    holder |= {"hostname": socket.gethostname(), "pid": ended()}
    (locks / "dev" / "1.json").write_text(json.dumps(holder), encoding="utf-8")
    lock = found(run, drift=False)["lock"]
    assert "no longer lives" in lock.text and "breaks it by itself" in lock.mend[0] and cancel in lock.mend[1]
    (locks / "dev" / "1.json").write_text("cut o", encoding="utf-8")
    assert "held by somebody" in found(run, drift=False)["lock"].text


def ended() -> int:
    """Id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@needs_scripts
def test_a_backend_that_tells_no_lock_is_not_guessed_at(run: EngineRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    assert found(run, drift=False)["lock"].state == "unknown"


@needs_scripts
def test_an_expired_login_of_the_backend(run: EngineRun, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "x")
    standin.answer("stack export", Reply(stderr="error: [401] Unauthorized: invalid access token", exit_code=255))
    state = [finding for finding in pulumi_findings(run, drift=False) if finding.state == "wrong"]
    assert len(state) == 1 and state[0].mend == ("pulumi login", "python3 -m llmos doctor --stack dev")


@pytest.mark.parametrize(
    ("said", "command"),
    [
        ("error: You must be logged in to the server (Unauthorized)", "see above"),
        ("getting credentials: exec: aws: the SSO session has expired, and aws sso login was not run", "aws sso login"),
        ("getting credentials: gke-gcloud-auth-plugin: token expired", "gcloud auth login"),
        ("azure: kubelogin token expired", "az login"),
    ],
)
def test_an_expired_login_names_the_command_that_renews_it(said: str, command: str) -> None:
    error = EnvironmentFault(Fault(what=said, where="context c", fix="see above"))
    finding = of_error("cluster", error, again="kubectl get ns")
    assert finding.state == "wrong" and finding.mend == (command, "kubectl get ns") and "login" in finding.text
    other = of_error("cluster", EnvironmentFault(Fault(what="no route", where="c", fix="f")), again="x")
    assert other.mend == ("f",)


def doctor(project: Project, *words: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    said = project.llmos("doctor", *words, "--engine=kubectl", "--json")
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(said.out)["findings"]:
        rows.setdefault(row["check"], []).append(row)
    return said.code, rows


@needs_scripts
def test_a_stack_of_the_kubectl_engine(project: Project) -> None:
    project.live["namespace"] = [{"kind": "Namespace", "metadata": {"name": "llmagentos-dev", "labels": {}}}]
    project.save()
    code, rows = doctor(project, "--stack", "dev", "--no-drift")
    assert code == 0, rows
    assert {name: found[0]["state"] for name, found in rows.items()} == {
        "stack file": "ok", "cluster": "ok", "lock": "ok", "workloads": "ok",
    }  # fmt: skip
    project.live["deployments"][0]["status"]["availableReplicas"] = 0
    lease = {"holderIdentity": "ada@build-1/7/abc", "acquireTime": "2026-11-25T10:00:00.000000Z"}
    project.live["leases.coordination.k8s.io"] = [{"kind": "Lease", "metadata": {"name": "l"}, "spec": lease}]
    project.save()
    code, rows = doctor(project, "--stack", "dev", "--no-drift")
    assert code == 1 and rows["workloads"][0]["state"] == "wrong"
    assert "ada@build-1 (process 7)" in rows["lock"][0]["text"] and "unlock --stack dev" in rows["lock"][0]["mend"][1]


@needs_scripts
def test_a_stack_that_is_promoted_into(project: Project) -> None:
    code, rows = doctor(project, "--stack", "staging", "--no-drift")
    assert code == 1 and "promote <from> staging" in rows["release"][0]["mend"][0]
    assert project.promote().code == 0
    assert {row["state"] for row in doctor(project, "--stack", "staging")[1]["registry"]} == {"ok"}
    project.registry.manifests.clear()
    code, rows = doctor(project, "--stack", "staging", "--no-drift")
    assert code == 1 and all("is gone" in row["text"] for row in rows["registry"])


def test_a_stack_file_with_faults(project: Project) -> None:
    project.write("dev", {"target": "lokal", "applications": {}})
    code, rows = doctor(project, "--stack", "dev")
    assert code == 1 and len(rows["stack file"]) >= 2
