"""The program on the real Pulumi engine, against the embedded cluster."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from llmos.cluster.info import ClusterInfo
from llmos.engines import pulumi
from llmos.engines.base import EngineRun
from llmos.engines.pulumi_cluster import cluster_uid
from llmos.kube import Kube, identity
from llmos.paths import cache_dir
from planner.faults import LlmosError

pytestmark = [
    pytest.mark.engine,
    pytest.mark.cluster,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="`pulumi` is not on PATH"),
]

NAMESPACE = "engine-test"
DIGEST = "sha256:" + "5" * 64


def write_stack(folder: Path, *, replicas: int = 1, budget: int = 3000) -> Path:
    """A stack that needs no image build: an application by digest, and a GPU model on simulated nodes."""
    config = {
        "target": "local",
        "environment": "dev",
        "namespace": {"name": NAMESPACE, "create": True},
        "applications": {
            "helper": {
                "image": {"ref": f"127.0.0.1:5000/helper@{DIGEST}"},
                "model": "chat",
                "replicas": replicas,
                "endpoint": {"port": 80, "type": "ClusterIP", "auth": "api-key"},
            }
        },
        "models": {
            "chat": {
                "source": "Qwen/Qwen3-8B",
                "revision": "b968826d9c46dd6066d109eabc6255188de91218",
                "engine": "vllm",
                "context_tokens": 8192,
                "replicas": {"min": 1, "max": 1},
                "hardware": {"instance_type": "g6.xlarge", "gpus": 1},
            }
        },
        "gpu_pool": {"kind": "karpenter", "max_gpus": 1},
        "budget": {"usd_per_month": budget},
    }
    file = folder / "Pulumi.enginetest.yaml"
    file.write_text(yaml.safe_dump({"config": {"llmagentos:stack": config}}), encoding="utf-8")
    return file


@pytest.fixture
def run(
    embedded_cluster: ClusterInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> EngineRun:
    """The stack, for the cluster of this test run."""
    monkeypatch.setenv("LLMOS_CLUSTER", embedded_cluster.name)
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return EngineRun(
        stack="enginetest", stack_file=write_stack(tmp_path), environment="dev", namespace=NAMESPACE,
        kubeconfig=embedded_cluster.kubeconfig, kubectl=embedded_cluster.kubectl,
    )  # fmt: skip


def live(run: EngineRun) -> dict[tuple[str, str], dict]:
    """Deployments and Services of the stack, by kind and name."""
    kube = Kube(kubectl=run.kubectl, kubeconfig=run.kubeconfig)
    return {(kind, name): item for item in kube.get("deployments,services", "-n", NAMESPACE)
            for kind, _, name in [identity(item)]}  # fmt: skip


def test_a_stack_is_created_left_alone_changed_and_destroyed(run: EngineRun, tmp_path: Path) -> None:
    assert cluster_uid(run)
    planned = pulumi.preview(run)
    assert {action.action for action in planned} == {"create"}
    assert not live(run)
    try:
        created = pulumi.up(run)
        assert [(a.type, a.namespace, a.name) for a in created.actions] == [
            (a.type, a.namespace, a.name) for a in planned
        ]
        assert live(run)["Deployment", "helper"]["status"]["availableReplicas"] == 1
        assert live(run)["Deployment", "chat"]["status"]["availableReplicas"] == 1
        assert created.outputs["namespace"] == NAMESPACE

        assert not pulumi.up(run, previewed=True).changed

        write_stack(tmp_path, replicas=2)
        changed = pulumi.up(run)
        assert [a.action for a in changed.actions if (a.kind, a.name) == ("Deployment", "helper")] == ["update"]
        assert not [a for a in changed.actions if a.action == "delete"]
        assert live(run)["Deployment", "helper"]["spec"]["replicas"] == 2

        write_stack(tmp_path, replicas=2, budget=1)
        with pytest.raises(LlmosError, match="monthly-cost"):
            pulumi.up(run)
        assert live(run)["Deployment", "helper"]["spec"]["replicas"] == 2
    finally:
        write_stack(tmp_path)
        destroyed = pulumi.destroy(run)
    assert {action.action for action in destroyed.actions} == {"delete"}
    assert not live(run)
    assert not (cache_dir() / "pulumi" / "enginetest").exists()
