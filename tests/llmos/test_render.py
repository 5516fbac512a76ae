"""Rendering: what the files hold, what Kustomize makes of them, and what happens to files that are there already."""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi.runtime import rpc

from llmos.cli import run
from llmos.kube import KubeObject, identity
from llmos.objects import kubernetes_objects
from llmos.rendering import KUSTOMIZATION, left_out, render, write_files
from planner.faults import UserFault
from tests.support import stack_file, synthesised


def objects_of(raw: dict[str, Any] | None = None) -> list[KubeObject]:
    return kubernetes_objects(synthesised(raw or stack_file("dev")))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def secret_values(value: Any) -> list[str]:
    """Everything that the program marked as secret, as text."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            inner = value["value"]
            return [str(item) for item in (inner.values() if isinstance(inner, dict) else [inner])]
        return [found for item in value.values() for found in secret_values(item)]
    return [found for item in value for found in secret_values(item)] if isinstance(value, list) else []


def test_files_are_sorted_deterministic_and_one_for_each_object() -> None:
    first, second = render(objects_of()), render(objects_of())
    assert first == second
    listed = yaml.safe_load(first[KUSTOMIZATION])["resources"]
    assert listed == sorted(name for name in first if name != KUSTOMIZATION)
    shown = [item for item in objects_of() if item["kind"] != "Secret"]
    assert [yaml.safe_load(first[name]) for name in listed] == shown, "the order of application is that of the names"
    assert "Namespace" in first[listed[0]], "fences come first"
    assert "llmagentos.dev/engine" not in first[listed[0]], "rendered YAML belongs to no engine"
    assert not any(mark in text for text in first.values() for mark in ("&id", "*id", "!!")), "plain YAML"


def test_no_file_holds_a_secret_value() -> None:
    program = synthesised(stack_file("dev"))
    values = [value for resource in program.resources for value in secret_values(resource.properties)]
    assert values, "the stack makes an API key"
    files = render(kubernetes_objects(program))
    assert not any(value in text for value in values for text in files.values())
    assert not any("kind: Secret\n" in text for text in files.values())
    assert left_out(kubernetes_objects(program)) == ["assistant-api-keys"]
    assert "assistant-api-keys" in files[KUSTOMIZATION], "what has to be created by hand is said"


def test_an_object_that_comes_renames_no_other_file() -> None:
    raw = stack_file("dev")
    before = render(objects_of(raw))
    raw = copy.deepcopy(raw)
    raw["applications"]["another"] = {**raw["applications"]["assistant"]}
    assert set(before) < set(render(objects_of(raw)))


def test_rendering_again_writes_the_same_bytes_and_removes_what_is_gone(tmp_path: Path) -> None:
    raw = stack_file("dev")
    out = tmp_path / "gitops" / "dev"
    raw["applications"]["another"] = {**raw["applications"]["assistant"]}
    assert write_files(render(objects_of(raw)), out, stack="dev") == []
    own = {"notes.md": "mine", "patch.yaml": "# my own\nkind: Patch\n", "rendered.yaml.bak": "# Rendered by llmos"}
    for name, text in own.items():
        (out / name).write_text(text, encoding="utf-8")
    (out / "more").mkdir()

    del raw["applications"]["another"]
    files = render(objects_of(raw))
    removed = write_files(files, out, stack="dev")
    assert removed and all("another" in name for name in removed)
    assert {path.name for path in out.iterdir()} == {*files, *own, "more"}
    assert {name: (out / name).read_text(encoding="utf-8") for name in own} == own

    written = {name: data for name, data in contents_of_files(out).items() if name in files}
    assert write_files(render(objects_of(raw)), out, stack="dev") == []
    assert {name: data for name, data in contents_of_files(out).items() if name in files} == written
    assert not any(b"\r" in data for data in written.values())


def contents_of_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_file_of_the_users_own_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / KUSTOMIZATION).write_text("kind: Kustomization\n", encoding="utf-8")
    with pytest.raises(UserFault, match=r"kustomization.yaml is there already and was not written by render"):
        write_files(render(objects_of()), tmp_path, stack="dev")
    assert contents(tmp_path) == {KUSTOMIZATION: b"kind: Kustomization\n"}, "nothing was written"


def test_a_folder_holds_one_stack(tmp_path: Path) -> None:
    write_files(render(objects_of()), tmp_path, stack="dev")
    before = contents(tmp_path)
    with pytest.raises(UserFault, match="holds stack dev, and this is stack prod"):
        write_files({"00-namespace-x.yaml": "kind: Namespace\n"}, tmp_path, stack="prod")
    assert contents(tmp_path) == before


def test_the_command_writes_a_stream_or_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = {"target": "local", "applications": {"web": {"image": {"ref": "example.com/web@sha256:" + "1" * 64}}}}
    path, out = tmp_path / "Pulumi.one.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump({"config": {"llmagentos:stack": raw}}), encoding="utf-8")
    assert run(["render", "--file", str(path)]) == 0
    said = capsys.readouterr()
    kinds = [item["kind"] for item in yaml.safe_load_all(said.out)]
    assert "Deployment" in kinds and not {"Kustomization", "Secret"} & set(kinds), "what kubectl apply takes"
    assert "web-api-keys" in said.err

    assert run(["render", "--file", str(path), "--out", str(out)]) == 0
    assert len(list(out.iterdir())) == len(kinds) + 1
    assert f"kubectl apply -k {out}" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH; tests/e2e asks the cluster's own")
def test_kustomize_reads_the_folder_in_the_order_of_application(tmp_path: Path) -> None:
    write_files(render(objects_of()), tmp_path, stack="dev")
    done = subprocess.run(
        ["kubectl", "kustomize", str(tmp_path)], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    read = list(yaml.safe_load_all(done.stdout))
    shown = [item for item in objects_of() if item["kind"] != "Secret"]
    assert [identity(item) for item in read] == [identity(item) for item in shown]
    assert read == shown
