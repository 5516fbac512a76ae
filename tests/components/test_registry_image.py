"""Images that exist and are named by a tag: what is asked of which provider, and what the cluster gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmos.objects import kubernetes_objects
from llmos.synth import UNKNOWN, Program, synth
from tests.support import DIGEST, ROOT, synthesised

OTHER = "sha256:" + "cd" * 32


def stack(tag: str = "ghcr.io/team/app:1.2", **more: Any) -> dict[str, Any]:
    return {
        "target": "kubernetes", "context": "c", "environment": "dev",
        "applications": {"app": {"image": {"tag": tag}}}, **more,
    }  # fmt: skip


def image_of(program: Program) -> str:
    (pod,) = [item["spec"]["template"]["spec"] for item in kubernetes_objects(program) if item["kind"] == "Deployment"]
    return pod["containers"][0]["image"]


def provider(program: Program) -> dict[str, Any]:
    (found,) = program.of_type("pulumi:providers:docker")
    return found.inputs


def test_the_cluster_gets_the_digest_and_never_the_tag() -> None:
    program = synthesised(stack())
    assert image_of(program) == f"ghcr.io/team/app@{DIGEST}"
    assert program.outputs["images"] == {"app": f"ghcr.io/team/app@{DIGEST}"}


def test_each_tag_is_looked_up_by_its_own_name() -> None:
    raw = stack()
    raw["applications"]["other"] = {"image": {"tag": "127.0.0.1:5000/a/b:x"}}
    digests = {"ghcr.io/team/app:1.2": DIGEST, "127.0.0.1:5000/a/b:x": OTHER}
    program = synth(raw, resolve=digests.__getitem__)
    assert program.outputs["images"] == {"app": f"ghcr.io/team/app@{DIGEST}", "other": f"127.0.0.1:5000/a/b@{OTHER}"}


def test_a_preview_without_a_registry_knows_no_digest_and_all_resources() -> None:
    full, unknown = synthesised(stack()), synthesised(stack(), preview=True)
    assert image_of(unknown) == UNKNOWN
    assert [r.urn for r in full.resources] == [r.urn for r in unknown.resources]


def test_a_preview_that_may_ask_is_exact() -> None:
    assert image_of(synth(stack(), preview=True, resolve=lambda tag: DIGEST)) == f"ghcr.io/team/app@{DIGEST}"


def test_outside_a_preview_a_digest_is_never_made_up() -> None:
    with pytest.raises(Exception, match=r"digest of ghcr\.io/team/app:1\.2 is needed"):
        synth(stack())


def test_an_explicit_provider_is_asked_because_default_ones_may_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    original = synth.__globals__["_Monitor"].Invoke

    def invoke(self: Any, request: Any) -> Any:
        asked.append(request)
        return original(self, request)

    monkeypatch.setattr(synth.__globals__["_Monitor"], "Invoke", invoke)
    program = synthesised(stack())
    (registries,) = program.of_type("pulumi:providers:docker")
    assert [request.provider for request in asked] == [f"{registries.urn}::{registries.name}"]


def test_the_provider_needs_no_engine_and_holds_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"auths": {"ghcr.io": {"auth": "dTpodW50ZXIy"}, "https://index.docker.io/v1/": {}, "unused.example": {}}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    raw = stack()
    for name, tag in {"hub": "team/app:1", "open": "quay.io/team/app:1", "local": "localhost:5000/app:1"}.items():
        raw["applications"][name] = {"image": {"tag": tag}}
    made = provider(synthesised(raw))
    assert made["disableDockerDaemonCheck"] == "true"
    assert made["host"].startswith("ssh://"), "any other host is pinged, and fails where no engine answers"
    assert json.loads(made["registryAuth"]) == [
        {"address": "registry-1.docker.io"},
        {"address": "ghcr.io"},
        {"address": "http://localhost:5000", "authDisabled": True},
    ]
    assert "hunter2" not in str(made) and "dTpodW50ZXIy" not in str(made)


def test_without_logins_registries_are_asked_anonymously(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert "registryAuth" not in provider(synthesised(stack()))


def test_stacks_without_a_tag_neither_import_nor_name_the_provider(dev: dict[str, Any]) -> None:
    assert not synthesised(dev).of_type("pulumi:providers:docker")
    code = (
        "import sys, tests.support as t; t.synthesised(t.stack_file('dev'));"
        "sys.exit(any(name.split('.')[0] == 'pulumi_docker' for name in sys.modules))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=False).returncode == 0


def test_pods_pull_with_the_registrys_secret_where_it_is_that_registry() -> None:
    registry = {"server": "reg.example/team", "pull_secret": "regcred"}
    for tag, secrets in {"reg.example/team/app:1": [{"name": "regcred"}], "ghcr.io/team/app:1": None}.items():
        objects = kubernetes_objects(synthesised(stack(tag, registry=registry)))
        (pod,) = [item["spec"]["template"]["spec"] for item in objects if item["kind"] == "Deployment"]
        assert pod.get("imagePullSecrets") == secrets, tag
