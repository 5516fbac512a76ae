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
