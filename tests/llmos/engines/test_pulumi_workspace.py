"""Where the CLI works and keeps its state: never in the checkout."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from llmos.engines import pulumi_workspace
from llmos.engines.base import EngineRun
from llmos.paths import PROJECT_ROOT
from planner.faults import UserFault

STACK_FILE = "config:\n  llmagentos:stack:  # a comment\n    target: local\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineRun:
    """A dev stack of a user who is logged in nowhere."""
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    monkeypatch.setenv("LLMOS_CACHE_DIR", str(tmp_path / "cache"))
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(STACK_FILE, encoding="utf-8")
    return EngineRun(stack="dev", stack_file=file, environment="dev", namespace="assistant")


def login(url: str, home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "credentials.json").write_text(json.dumps({"current": url}), encoding="utf-8")


def test_the_cli_runs_the_program_of_the_checkout_from_a_folder_of_its_own(run: EngineRun) -> None:
    workspace = pulumi_workspace.prepare(run)
    written = yaml.safe_load((workspace.folder / "Pulumi.yaml").read_text(encoding="utf-8"))
    project = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert written["name"] == project["name"]
    assert Path(written["main"]) == PROJECT_ROOT
    assert Path(written["runtime"]["options"]["virtualenv"]) == PROJECT_ROOT / "venv"
    assert written["config"] == project["config"]
    assert (workspace.folder / "Pulumi.dev.yaml").read_text(encoding="utf-8") == STACK_FILE
    assert PROJECT_ROOT not in workspace.folder.parents


def test_what_the_cli_adds_to_its_copy_does_not_last(run: EngineRun) -> None:
    copy = pulumi_workspace.prepare(run).folder / "Pulumi.dev.yaml"
    copy.write_text(STACK_FILE + "encryptionsalt: v1:abc\n", encoding="utf-8")
    pulumi_workspace.prepare(run)
    assert copy.read_text(encoding="utf-8") == STACK_FILE
    assert run.stack_file.read_text(encoding="utf-8") == STACK_FILE


def test_dev_state_lives_in_the_cache_with_a_passphrase_only_the_user_can_read(run: EngineRun, tmp_path: Path) -> None:
    first, again = pulumi_workspace.prepare(run), pulumi_workspace.prepare(run)
    assert first == again
    assert first.backend == ""
    project = yaml.safe_load((first.folder / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert project["backend"]["url"] == f"file://{(tmp_path / 'cache' / 'pulumi' / 'dev' / 'state').as_posix()}"
    passphrase = Path(first.env["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert len(passphrase.read_text(encoding="utf-8")) >= 32
    if sys.platform != "win32":
        assert passphrase.stat().st_mode & 0o077 == 0
    pulumi_workspace.forget(run)
    assert not passphrase.exists() and not first.folder.exists()


def test_a_side_file_that_a_killed_run_left_empty_is_removed(run: EngineRun, tmp_path: Path) -> None:
    state = tmp_path / "cache" / "pulumi" / "dev" / "state"
    pulumi_workspace.prepare(run)
    (state / "dev.json.attrs").touch()
    (state / "dev.json").touch()
    pulumi_workspace.prepare(run)
    assert [path.name for path in state.iterdir()] == ["dev.json"]


def test_a_passphrase_of_the_user_is_left_alone(run: EngineRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in pulumi_workspace.prepare(run).env


@pytest.mark.parametrize("how", ["login", "environment", "token"])
def test_a_backend_of_the_user_is_taken(how: str, run: EngineRun, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "login":
        login("s3://states", Path(os.environ["PULUMI_HOME"]))
    elif how == "environment":
        monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    else:
        monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "pul-0")
    workspace = pulumi_workspace.prepare(run)
    assert workspace.backend == ("https://api.pulumi.com" if how == "token" else "s3://states")
    assert "backend" not in yaml.safe_load((workspace.folder / "Pulumi.yaml").read_text(encoding="utf-8"))
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in workspace.env


def test_a_logged_out_user_has_no_backend(run: EngineRun) -> None:
    login("", Path(os.environ["PULUMI_HOME"]))
    assert pulumi_workspace.prepare(run).backend == ""


def test_state_of_other_environments_is_never_kept_on_one_machine(run: EngineRun, tmp_path: Path) -> None:
    staging = dataclasses.replace(run, environment="staging")
    with pytest.raises(UserFault, match="pulumi login"):
        pulumi_workspace.prepare(staging)
    assert not (tmp_path / "cache" / "pulumi").exists()
    login("gs://states", Path(os.environ["PULUMI_HOME"]))
    assert pulumi_workspace.prepare(staging).backend == "gs://states"


@pytest.mark.parametrize(
    ("backend", "head", "allowed"),
    [
        ("gs://states", "", False),
        ("gs://states", "secretsprovider: passphrase\n", False),
        ("gs://states", "secretsprovider: awskms://alias/prod?region=eu-west-1\n", True),
        ("file:///states", "secretsprovider: default\n", False),
        ("https://api.pulumi.com", "", True),
        ("https://api.pulumi.com", "encryptionsalt: v1:abc\n", False),
    ],
)
def test_secrets_of_prod_are_never_behind_a_passphrase(
    backend: str, head: str, allowed: bool, run: EngineRun, tmp_path: Path
) -> None:
    run.stack_file.write_text(head + STACK_FILE, encoding="utf-8")
    login(backend, Path(os.environ["PULUMI_HOME"]))
    prod = dataclasses.replace(run, environment="prod")
    if allowed:
        assert pulumi_workspace.prepare(prod).secrets_provider == (head.partition(": ")[2].strip())
        return
    with pytest.raises(UserFault, match="encrypted with a passphrase") as refused:
        pulumi_workspace.prepare(prod)
    assert "awskms://" in refused.value.faults[0].fix
    assert not (tmp_path / "cache" / "pulumi").exists(), "nothing was begun"
    assert pulumi_workspace.prepare(dataclasses.replace(run, environment="dev")).backend == backend
