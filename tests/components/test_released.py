"""Stacks that are promoted into: unknown before the first release, by digest after it, pulled with the Secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from llmos.engines.shapes import has_unknown
from llmos.kube import KubeObject
from llmos.objects import kubernetes_objects
from llmos.synth import synth
from tests.support import stack_file

REF = "registry.example.com/llmagentos/assistant@sha256:" + "a" * 64
SERVER = "docker.io/vllm/vllm-openai@sha256:" + "b" * 64
SIGNATURE = {"payload": "cA==", "signature": "cw=="}


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMOS_LOCKS", str(tmp_path))
    return tmp_path


@pytest.fixture
def staging(locks: Path) -> dict[str, Any]:
    return stack_file("staging")


def release(locks: Path) -> None:
    content = {
        "images": {"assistant": REF}, "model_images": {"chat": SERVER}, "revisions": {"chat": "c" * 40},
        "source_commit": "d" * 40, "signatures": {"sha256:" + "a" * 64: [SIGNATURE]},
    }  # fmt: skip
    (locks / "staging.json").write_text(json.dumps({"release": content}), encoding="utf-8")


def deployments(raw: dict[str, Any], *, preview: bool) -> dict[str, KubeObject]:
    objects = kubernetes_objects(synth(raw, stack="staging", preview=preview))
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == "Deployment"}


def test_before_the_first_release_a_preview_knows_everything_but_images_and_revisions(staging: dict[str, Any]) -> None:
    made = deployments(staging, preview=True)
    for item in made.values():
        (container,) = item["spec"]["template"]["spec"]["containers"]
        assert has_unknown(container.pop("image"))
        container["args"] = [arg for arg in container.get("args", []) if not has_unknown(arg)]
        assert not has_unknown(item)


def test_nothing_but_a_preview_runs_without_a_release(staging: dict[str, Any]) -> None:
    with pytest.raises(pulumi.RunError, match=r"locks/staging\.json does not say the image of assistant"):
        synth(staging, stack="staging")


def test_a_release_is_deployed_by_digest_and_states_its_signatures(staging: dict[str, Any], locks: Path) -> None:
    release(locks)
    made = deployments(staging, preview=False)
    pod, server = (made[name]["spec"]["template"]["spec"] for name in ("assistant", "chat"))
    assert pod["containers"][0]["image"] == REF and server["containers"][0]["image"] == SERVER
    assert f"--revision={'c' * 40}" in server["containers"][0]["args"]
    assert pod["imagePullSecrets"] == [{"name": "registry-pull"}], "it lies in the stack's registry"
    assert "imagePullSecrets" not in server, "a public image needs no Secret"
    program = synth(staging, stack="staging")
    assert program.outputs["source_commit"] == "d" * 40
    (stack,) = program.of_type("llmagentos:components:LlmStack")
    assert stack.inputs["release"] == {"sourceCommit": "d" * 40, "signatures": [SIGNATURE]}
