"""Files for Argo CD and Flux: the objects of `up`, ordered, with secrets by reference and the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos import stacks
from llmos.cli import run
from llmos.failures import reported
from llmos.kube import KubeObject, identity
from llmos.objects import kubernetes_objects
from llmos.synth import synth
from tests.support import stack_file

RELEASE = {
    "images": {"assistant": "registry.example.com/llmagentos/assistant@sha256:" + "a" * 64},
    "model_images": {"chat": "registry.example.com/llmagentos/vllm:v0.28.0@sha256:" + "b" * 64},
    "revisions": {"chat": "c" * 40},
}
WAVE = "argocd.argoproj.io/sync-wave"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A promoted staging stack with secrets of every kind, in a folder of the test's own."""
    raw = stack_file("staging")
    raw["applications"]["assistant"]["secrets"] = {"DATABASE_URL": {"secret": "database", "key": "url"}}
    raw["models"]["chat"]["token"] = {"secret": "hub", "key": "token"}
    raw["gitops"] = {"repository": "https://git.example.com/team/deploy.git"}
    write(tmp_path, raw)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "staging.json").write_text(json.dumps({"release": RELEASE}), encoding="utf-8")
    monkeypatch.setattr(stacks, "PROJECT_ROOT", tmp_path)
    monkeypatch.setenv("LLMOS_LOCKS", str(tmp_path / "locks"))
    return tmp_path


def write(folder: Path, raw: dict[str, Any]) -> None:
    text = yaml.safe_dump({"config": {"llmagentos:stack": raw}})
    (folder / "Pulumi.staging.yaml").write_text(text, encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "Pulumi.staging.yaml").read_text(encoding="utf-8"))["config"]["llmagentos:stack"]


def render(tool: str, out: Path) -> None:
    assert run(["render", "--stack", "staging", "--gitops", tool, "--out", str(out)]) == 0


def contents(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): path.read_text(encoding="utf-8") for path in out.rglob("*") if path.is_file()}


def objects(out: Path) -> Iterator[KubeObject]:
    """What `kubectl apply -k` of the folders would send, in order, without the tools' own objects."""
    for folder in ("", "fences", "nodes", "workloads"):
        kustomization = out / folder / "kustomization.yaml"
        if kustomization.is_file():
            for name in yaml.safe_load(kustomization.read_text(encoding="utf-8"))["resources"]:
                item = yaml.safe_load((out / folder / name).read_text(encoding="utf-8"))
                if "toolkit.fluxcd.io" not in item["apiVersion"]:
                    yield item


def plain(item: KubeObject) -> KubeObject:
    """Without the tools' annotations."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "annotations"}
    kept = {k: v for k, v in item["metadata"].get("annotations", {}).items() if "argocd" not in k and "fluxcd" not in k}
    return {**item, "metadata": {**metadata, **({"annotations": kept} if kept else {})}}


@pytest.mark.parametrize("tool", ["argocd", "flux"])
def test_the_same_objects_as_up_but_for_secrets_and_counts_of_autoscalers(tool: str, project: Path) -> None:
    render(tool, project / "out")
    found = {identity(item): plain(item) for item in objects(project / "out")}
    wanted = {identity(item): item for item in kubernetes_objects(synth(read(project), stack="staging"))}
    secrets = {key for key in wanted if key[0] == "Secret"}
    external = {key for key in found if key[0] == "ExternalSecret"}
    assert found.keys() - external == wanted.keys() - secrets
    app = wanted["Deployment", "assistant-staging", "assistant"]
    assert app["spec"].pop("replicas") == 3, "an HPA owns it from then on"
    for key in wanted.keys() - secrets:
        assert found[key] == wanted[key], key


@pytest.mark.parametrize("tool", ["argocd", "flux"])
def test_rendering_again_changes_no_byte_and_holds_no_secret(tool: str, project: Path) -> None:
    render(tool, project / "out")
    before = contents(project / "out")
    render(tool, project / "out")
    assert contents(project / "out") == before
    assert not any("kind: Secret\n" in text or "stringData" in text for text in before.values())


def test_every_secret_is_a_reference_to_the_store(project: Path) -> None:
    raw = read(project)
    raw["gitops"]["secret_store"] = {"kind": "SecretStore", "name": "vault", "prefix": "llm/"}
    write(project, raw)
    render("flux", project / "out")
    secrets = [item for item in objects(project / "out") if item["kind"] == "ExternalSecret"]
    found = {item["metadata"]["name"]: item["spec"] for item in secrets}
    assert {name: [entry["secretKey"] for entry in spec["data"]] for name, spec in found.items()} == {
        "assistant-api-keys": ["keys"], "database": ["url"], "hub": ["token"], "registry-pull": [".dockerconfigjson"],
    }  # fmt: skip
    assert found["hub"]["data"][0]["remoteRef"] == {"key": "llm/hub", "property": "token"}
    assert found["hub"]["secretStoreRef"] == {"kind": "SecretStore", "name": "vault"}
    assert found["registry-pull"]["target"]["template"]["type"] == "kubernetes.io/dockerconfigjson"


def test_argo_cd_waits_wave_by_wave_and_keeps_what_holds_data(project: Path) -> None:
    render("argocd", project / "out")
    waves: dict[str, set[int]] = {}
    for item in objects(project / "out"):
        waves.setdefault(item["kind"], set()).add(int(item["metadata"]["annotations"][WAVE]))
    order = ["Namespace", "NetworkPolicy", "ServiceAccount", "ExternalSecret", "NodePool", "Deployment", "Service"]
    assert [max(waves[kind]) for kind in order] == sorted(min(waves[kind]) for kind in order)
    marks = {item["kind"]: item["metadata"]["annotations"] for item in objects(project / "out")}
    kept = [kind for kind, found in marks.items() if "argocd.argoproj.io/sync-options" in found]
    assert kept == ["Namespace"]
    application = yaml.safe_load((project / "out" / "argocd-application.yaml").read_text(encoding="utf-8"))
    assert application["spec"]["source"] == {
        "repoURL": "https://git.example.com/team/deploy.git", "targetRevision": "main", "path": "deploy/staging",
    }  # fmt: skip


def test_flux_waits_layer_by_layer(project: Path) -> None:
    render("flux", project / "out")
    listed = yaml.safe_load((project / "out" / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    chain = [yaml.safe_load((project / "out" / name).read_text(encoding="utf-8")) for name in listed]
    names = [item["metadata"]["name"].removeprefix("llmagentos-staging-") for item in chain]
    assert names == ["fences", "nodes", "workloads"]
    waits = [[each["name"] for each in item["spec"].get("dependsOn", ())] for item in chain]
    assert waits == [[], ["llmagentos-staging-fences"], ["llmagentos-staging-nodes"]]
    for item, name in zip(chain, names, strict=True):
        assert item["spec"]["path"] == f"./deploy/staging/{name}" and (project / "out" / name).is_dir()
        assert item["spec"]["wait"] is True
        assert int(item["spec"]["timeout"].rstrip("s")) > 600, "a model takes that long to load"


def test_what_is_no_longer_needed_goes_also_when_the_tool_changes(project: Path) -> None:
    out = project / "out"
    render("flux", out)
    (out / "mine.yaml").write_text("a: 1\n", encoding="utf-8")
    raw = read(project)
    raw["gpu_pool"] = {"kind": "existing", "selector": {"gpu": "l4"}}
    write(project, raw)
    render("flux", out)
    assert not list((out / "nodes").iterdir()) and (out / "mine.yaml").exists()
    chain = list(out.glob("*-workloads.yaml"))
    assert "llmagentos-staging-fences" in chain[0].read_text(encoding="utf-8"), "it waits for the layer before"
    render("argocd", out)
    assert not list((out / "workloads").iterdir()) and (out / "argocd-application.yaml").exists()
    assert not list(out.glob("*-kustomization-*.yaml"))


def test_a_stack_without_a_release_renders_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "locks" / "staging.json").unlink()
    for words in (("--gitops", "flux"), ()):
        with reported(debug=False) as outcome:
            run(["render", "--stack", "staging", *words, "--out", str(project / "out")])
        assert outcome.exit_code == 1
    assert "promote <from> staging" in capsys.readouterr().err and not (project / "out").exists()


def test_a_tool_needs_a_folder(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with reported(debug=False) as outcome:
        run(["render", "--stack", "staging", "--gitops", "flux"])
    assert outcome.exit_code == 1 and "--out deploy/staging" in capsys.readouterr().err
