"""What a budget's message says: the sum, the limit and its file, who takes most, and the nearest change that passes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policies.cases_models import STACK
from tests.policies.support import ask, edited


def _only(rule: str, edits: list[Any], config: dict[str, Any]) -> str:
    [row] = ask(rule, edited(*edits), config).rows
    return row[2]


def test_message() -> None:
    text = _only("gpu-count", [], {"gpus": 7, "environment": "prod"})
    assert "takes 8 GPUs at maximum scale; the limit is 7 GPUs (policies/config/prod.json)" in text
    assert "Largest: Deployment/assistant/chat 8 GPUs (2 replicas x 4)" in text
    assert "To fix: lower the maximum replicas of Deployment/assistant/chat from 2 to 1" in text


def test_three_largest_of_many() -> None:
    copies = []
    for number in range(1, 5):
        metadata = {"name": f"copy{number}", "namespace": "assistant"}
        spec = {"replicas": number, "template": {"spec": {"containers": [{"name": "c"}]}}}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        copies.append((f"Deployment/copy{number}", "", body))
    text = _only("replica-count", copies, {"replicas": 21, "environment": "dev"})
    largest = text.split("Largest: ")[1].split("\n")[0]
    assert [part.split()[0] for part in largest.split("; ")] == [
        "Deployment/assistant/app", "Deployment/assistant/copy4", "Deployment/assistant/copy3"
    ]
    assert "takes 22 replicas" in text
    # The smallest workload that can give up one replica.
    assert "lower the maximum replicas of Deployment/assistant/chat from 2 to 1" in text or "copy2 from 2 to 1" in text


@pytest.mark.parametrize(("gpus", "fix"), [(10, "lower the limits of NodePool/gpu so that it takes at most 10 GPUs")])
def test_a_pool_that_may_buy_more_than_its_pods_ask_for(gpus: int, fix: str) -> None:
    pool = [("NodePool/gpu", "spec.limits", {"nvidia.com/gpu": "16"})]
    assert fix in _only("gpu-count", pool, {"gpus": gpus, "environment": "prod"})


def test_the_lower_limit_wins_and_names_its_file() -> None:
    stack = [("LlmStack", "", STACK)]
    config = {"gpus": 7, "environment": "dev"}
    assert "the limit is 2 GPUs (Pulumi.dev.yaml)" in _only("gpu-count", stack, config)
    assert "the limit is 1 GPUs (policies/config/dev.json)" in _only("gpu-count", stack, {**config, "gpus": 1})


def test_nothing_but_a_higher_limit_helps() -> None:
    text = _only("gpu-count", [("Deployment/chat", "spec.replicas", 1)], {"gpus": 3, "environment": "prod"})
    assert "lower the limits of NodePool/gpu" in text
    without = [("Deployment/chat", "spec.replicas", 1), ("NodePool/gpu", "spec.limits", {"nvidia.com/gpu": "4"})]
    text = _only("gpu-count", without, {"gpus": 3, "environment": "prod"})
    assert "raise the limit in policies/config/prod.json to 4 GPUs" in text


def _pods(gpus: int) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}]}}


_WORKERS = {"maxReplicas": 3, "numOfHosts": 2, "template": _pods(4)}
_RAY = {"headGroupSpec": {"template": _pods(0)}, "workerGroupSpecs": [_WORKERS]}
_LED = {"size": 4, "leaderTemplate": _pods(1), "workerTemplate": _pods(2)}


@pytest.mark.parametrize(
    ("kind", "spec", "gpus"),
    [
        ("LeaderWorkerSet", {"replicas": 3, "leaderWorkerTemplate": {"size": 4, "workerTemplate": _pods(2)}}, 24),
        ("LeaderWorkerSet", {"replicas": 3, "leaderWorkerTemplate": _LED}, 21),
        ("RayCluster", _RAY, 24),
        ("RayService", {"rayClusterConfig": _RAY}, 24),
        ("CronJob", {"jobTemplate": {"spec": {"parallelism": 2, "template": _pods(3)}}}, 6),
        ("ScaledJob", {"maxReplicaCount": 5, "jobTargetRef": {"template": _pods(1)}}, 5),
        ("DeploymentConfig", {"replicas": 2, "template": _pods(1)}, 2),
    ],
)
def test_gpus_of_workloads_of_several_kinds(kind: str, spec: dict[str, Any], gpus: int) -> None:
    body = {"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": "x", "namespace": "ns"}, "spec": spec}
    stack = {f"{kind}/x": body}
    assert ask("gpu-count", stack, {"gpus": gpus}).clean
    [row] = ask("gpu-count", stack, {"gpus": gpus - 1}).rows
    assert f"takes {gpus} GPUs" in row[2]
