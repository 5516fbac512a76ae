"""The commands of the second day on a real API server: what differs, what starts, what is written, what goes to Git."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.kube import Kube, as_list, identity
from llmos.objects import kubernetes_objects
from llmos.stacks import load_stack
from llmos.synth import synth
from tests.e2e.conftest import Llmos, Write

pytestmark = pytest.mark.cluster


def up(llmos: Llmos, path: Path) -> None:
    done = llmos("up", "--engine", "kubectl", "--file", str(path))
    assert done.returncode == 0, done.stderr


def space(path: Path) -> str:
    return f"llmagentos-{path.name.split('.')[1]}"


def test_diff_of_a_stack_of_the_kubectl_engine(llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube) -> None:
    path = stack(small)
    everything = llmos("diff", "--engine", "kubectl", "--file", str(path)).stdout
    assert "+kind: Deployment" in everything and "-kind" not in everything
    up(llmos, path)
    assert llmos("diff", "--engine", "kubectl", "--file", str(path)).stdout == "0 objects differ\n"

    kube.run("annotate", "service", "web", "-n", space(path), "somebody=else")
    small["applications"]["web"]["env"] = {"LOG_LEVEL": "debug"}
    small["models"]["chat"]["context_tokens"] = 4096
    stack(small)
    said = llmos("diff", "--engine", "kubectl", "--file", str(path)).stdout
    assert "+        - name: LOG_LEVEL" in said
    assert "-        - --max-model-len=8192" in said and "+        - --max-model-len=4096" in said


class ByPulumi:
    """Objects as the Kubernetes provider of Pulumi leaves them: its field manager, its annotations, its label."""

    def __init__(self, kube: Kube, path: Path) -> None:
        self.kube, self.path = kube, path

    def apply(self) -> None:
        loaded = load_stack("", file=self.path)
        program = synth(loaded.raw, stack=loaded.name, build=lambda *_: "")
        objects = kubernetes_objects(program, engine="pulumi")
        for item in objects:
            item["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "600"}
        for item in objects:
            words = ["apply", "--server-side", "--field-manager=pulumi-kubernetes-" + item["kind"].lower(), "-f", "-"]
            self.kube.run(*words, stdin=as_list([item]))

    def remove(self) -> None:
        label = f"app.kubernetes.io/instance={self.path.name.split('.')[1]}"
        self.kube.run("delete", "namespace", space(self.path), "--ignore-not-found")
        self.kube.run("delete", "nodepools,kwoknodeclasses", "-l", label)


@pytest.fixture
def by_pulumi(stack: Write, small: dict[str, Any], kube: Kube) -> Iterator[ByPulumi]:
    made = ByPulumi(kube, stack(small))
    yield made
    made.remove()


def test_diff_of_a_stack_of_the_pulumi_engine(
    by_pulumi: ByPulumi, llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube
) -> None:
    small["applications"]["web"]["env"] = {"LOG_LEVEL": "debug"}
    small["applications"]["second"] = {**small["applications"]["web"], "replicas": {"min": 1, "max": 2}}
    path = stack(small)
    by_pulumi.apply()
    done = llmos("diff", "--file", str(path))
    assert done.returncode == 0 and "engine: pulumi (it deployed this stack before)" in done.stderr
    assert done.stdout == "0 objects differ\n"

    kube.run("scale", "deployment", "web", "-n", space(path), "--replicas=5")
    del small["applications"]["second"], small["applications"]["web"]["env"]
    small["applications"]["third"] = {**small["applications"]["web"]}
    stack(small)
    said = llmos("diff", "--file", str(path)).stdout
    changes = {line for line in said.splitlines() if line.startswith(("+", "-"))}
    assert {f"--- cluster/Deployment/{space(path)}/web", "-        - name: LOG_LEVEL"} <= changes, "a field dropped"
    assert {"-  replicas: 5", "+  replicas: 2"} <= changes, "changed by somebody else"
    assert f"--- cluster/HorizontalPodAutoscaler/{space(path)}/second" in changes, "the only one of its kind goes"
    assert f"+++ stack/Deployment/{space(path)}/third" in changes
    before = generations(kube, space(path))
    assert llmos("diff", "--file", str(path)).stdout == said
    assert generations(kube, space(path)) == before, "asking writes nothing"


def generations(kube: Kube, namespace: str) -> dict[tuple[str, str, str], int]:
    return {identity(item): item["metadata"]["generation"] for item in kube.get("deployments", "-n", namespace)}


def test_status_and_logs_of_a_stack(llmos: Llmos, stack: Write, small: dict[str, Any]) -> None:
    path = stack(small)
    up(llmos, path)
    said = llmos("status", "--file", str(path)).stdout
    assert "2/2" in said and "Not ready yet:" not in said

    done = llmos("logs", "web", "--file", str(path))
    assert done.returncode == 0 and done.stdout == ""
    assert "pods of web are simulated (2): they run no container and write no log" in done.stderr

    small["applications"]["web"]["resources"] = {"cpu": "64", "memory": "512Mi"}
    stack(small)
    assert llmos("up", "--engine", "kubectl", "--file", str(path), "--timeout-minutes", "0.1").returncode == 2
    said = llmos("status", "--file", str(path)).stdout
    waiting = said[said.index("Not ready yet:") :].splitlines()[1]
    assert "waiting for a node (" in waiting and "Insufficient cpu" in waiting


def test_rendered_files_are_what_the_server_takes(
    llmos: Llmos, stack: Write, small: dict[str, Any], kube: Kube, tmp_path: Path
) -> None:
    path, out = stack(small), tmp_path / "rendered"
    done = llmos("render", "--file", str(path), "--out", str(out))
    assert done.returncode == 0, done.stderr
    built = subprocess.run(
        [str(kube.kubectl), "kustomize", str(out)], capture_output=True, text=True, encoding="utf-8", check=True
    )
    items = list(yaml.safe_load_all(built.stdout))
    assert items[0]["kind"] == "Namespace" and not [item for item in items if item["kind"] == "Secret"]
    # The namespace of a dry run does not exist for what follows, so it is made first.
    kube.run("create", "namespace", space(path))
    try:
        words = ["apply", "--server-side", "--dry-run=server", "-k", str(out), "-o", "json", "--force-conflicts"]
        taken = json.loads(kube.run(*words).stdout)["items"]
        assert {identity(item) for item in taken} == {identity(item) for item in items}
    finally:
        kube.run("delete", "namespace", space(path))
