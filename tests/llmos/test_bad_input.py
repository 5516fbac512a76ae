"""Ten mistakes, each answered by one clear error and the right exit code, before anything was changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

Call = Callable[..., subprocess.CompletedProcess[str]]
APPLICATION = {"image": {"build": "./app"}}
MODEL = {"source": "Qwen/Qwen3-8B", "revision": "b" * 40, "hardware": {"instance_type": "g6.xlarge"}}


def stack(**changes: Any) -> dict[str, Any]:
    return {"target": "local", "applications": {"a": APPLICATION}, **changes}


def application(**changes: Any) -> dict[str, Any]:
    return stack(applications={"a": {**APPLICATION, **changes}})


MISTAKES = {
    "typo in a key": (application(replicaz=3), 1, "did you mean `replicas`?"),
    "tag where a digest is required": (application(image={"ref": "repo/app:v1"}), 1, "must end in a digest"),
    "budget exceeded": (stack(models={"m": MODEL}, budget={"usd_per_month": 100}), 1, "588 USD a month"),
    "unknown target": (stack(target="lokal"), 1, "did you mean `local`?"),
    "unreachable cluster": (
        stack(target="kubernetes", environment="dev", context="nowhere",
              applications={"a": {"image": {"ref": "repo/app@sha256:" + "0" * 64}}}), 2, "nowhere",
    ),
    "missing build folder": (application(image={"build": "./ap"}), 1, "no folder `./ap`"),
    "secret in plain text": (application(env={"HUB": "hf_" + "x" * 30}), 1, "plain text"),
    "replicas min above max": (application(replicas={"min": 3, "max": 2}), 1, "min is 3 and max is 2"),
    "model not defined": (application(model="chat"), 1, "not defined under models"),
}  # fmt: skip


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """``python3 -m llmos`` with an empty cache of its own and no kubeconfig."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "LLMOS_CACHE_DIR": str(tmp_path / "cache"), "KUBECONFIG": str(tmp_path / "none")}
        return subprocess.run(
            [sys.executable, "-m", "llmos", *arguments], cwd=ROOT, env=env, capture_output=True, text=True,
            encoding="utf-8", stdin=subprocess.DEVNULL, check=False, timeout=120,
        )  # fmt: skip

    return run


def left_behind(folder: Path) -> list[str]:
    """What a run that must change nothing left in its cache; an empty folder is not a change."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_clear_error_and_nothing_changed(mistake: str, call: Call, tmp_path: Path) -> None:
    raw, exit_code, words = MISTAKES[mistake]
    path = tmp_path / "Pulumi.bad.yaml"
    path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": raw}}), encoding="utf-8")
    done = call("up", "--yes", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == exit_code, done.stderr
    assert done.stderr.count("error: ") == 1, done.stderr
    assert words in done.stderr and "To fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "x" * 30 not in done.stderr, "the secret is not repeated"
    assert not left_behind(tmp_path / "cache")


def test_no_docker_engine_and_none_may_be_installed(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    done = call("up", "--no-install")
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
    assert "no Docker engine answers" in done.stderr and "To fix: " in done.stderr
    assert not left_behind(tmp_path / "cache"), "no cluster was started for it"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["preview", "--stack", "prodd", "--offline"], "there is no such stack file"),
        (["upp"], "invalid choice"),
        (["preview", "--engine", "terraform"], "invalid choice"),
        ([], "required: COMMAND"),
    ],
)
def test_wrong_usage_is_the_users_fault(arguments: list[str], words: str, call: Call) -> None:
    done = call(*arguments)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr


def test_a_file_that_is_no_yaml(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.bad.yaml"
    path.write_text("config: [unclosed", encoding="utf-8")
    done = call("preview", "--offline", "--file", str(path))
    assert done.returncode == 1 and "not readable as YAML" in done.stderr


def test_an_offline_preview_needs_no_cluster_and_writes_one_document(call: Call, tmp_path: Path) -> None:
    import json

    done = call("preview", "--offline", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"schema", "stack", "engine", "cluster", "objects", "policy", "usd_per_month"} <= document.keys()
    assert {item["action"] for item in document["objects"]} == {"unknown"}
    fields = {"type", "kind", "namespace", "name", "action", "replaces", "adopts", "stand_in_digest"}
    assert fields == document["objects"][0].keys()
    assert not any(row["level"] == "mandatory" for row in document["policy"])
    assert document["usd_per_month"] == pytest.approx(587.5)
