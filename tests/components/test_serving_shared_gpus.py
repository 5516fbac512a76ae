"""Model servers on parts of GPUs, as the cluster gets them and as policies count them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.components.serving import objects
from tests.policies.support import ask, edited

P4D = {"instance_type": "p4d.24xlarge", "gpus": 1}
SMALL = {"source": "Qwen/Qwen2.5-0.5B-Instruct"}
MIG = {**SMALL, "hardware": {**P4D, "sharing": {"mig": "1g.10gb"}}}
SLICED = {**SMALL, "hardware": {**P4D, "sharing": {"time_slices": 4}}}


def test_a_server_on_a_slice_requests_that_slice_and_no_whole_gpu() -> None:
    made = objects(**MIG)
    (server,) = made["Deployment", "chat"]["spec"]["template"]["spec"]["containers"]
    for kind in ("requests", "limits"):
        assert server["resources"][kind]["nvidia.com/mig-1g.10gb"] == "1"
        assert "nvidia.com/gpu" not in server["resources"][kind]
    assert "--tensor-parallel-size=1" in server["args"]
    assert not any("gpu-memory-utilization" in arg for arg in server["args"])
    hard = made["ResourceQuota", "stack"]["spec"]["hard"]
    assert hard["requests.nvidia.com/mig-1g.10gb"] == "2" and hard["requests.nvidia.com/gpu"] == "0"


def test_a_server_on_a_time_slice_keeps_to_its_share_of_memory() -> None:
    made = objects(**SLICED)
    (server,) = made["Deployment", "chat"]["spec"]["template"]["spec"]["containers"]
    assert server["resources"]["limits"]["nvidia.com/gpu.shared"] == "1"
    assert "--gpu-memory-utilization=0.23" in server["args"]
    (own,) = objects(**SLICED, extra_args=["--gpu-memory-utilization=0.2"])["Deployment", "chat"]["spec"]["template"][
        "spec"
    ]["containers"]
    assert [arg for arg in own["args"] if "gpu-memory" in arg] == ["--gpu-memory-utilization=0.2"]


_RESOURCES = "spec.template.spec.containers[0].resources"


@pytest.mark.parametrize(
    ("resource", "count", "cards"),
    [
        ("nvidia.com/mig-1g.5gb", 1, 0.5), ("nvidia.com/mig-2g.20gb", 1, 1), ("nvidia.com/mig-3g.40gb", 1, 1),
        ("nvidia.com/mig-4g.40gb", 1, 2), ("nvidia.com/mig-7g.80gb", 1, 2), ("nvidia.com/gpu.shared", 1, 2),
        ("nvidia.com/gpu", 1, 2), ("nvidia.com/mig-1g.10gb", 4, 2),
    ],
)  # fmt: skip
def test_policies_count_parts_as_the_largest_share_of_a_card_they_may_be(
    resource: str, count: int, cards: float
) -> None:
    """Two replicas of the good stack's server. A budget just below the count is broken, the count itself is not."""
    asked: dict[str, Any] = {"cpu": "1", "memory": "1Gi", resource: str(count)}
    kinds = {"requests": asked, "limits": asked}
    stack = edited(
        ("Deployment/chat", _RESOURCES, kinds), ("NodePool/gpu", "spec.limits", {"nvidia.com/gpu": "0"}),
    )  # fmt: skip
    assert ask("gpu-count", stack, {"gpus": cards}).clean
    assert f"takes {cards:g} GPUs" in ask("gpu-count", stack, {"gpus": cards - 0.25}).rows[0][2]


def test_a_slice_is_one_gpu_to_its_server() -> None:
    kinds = {kind: {"nvidia.com/mig-1g.10gb": "1"} for kind in ("requests", "limits")}
    one = edited(
        ("Deployment/chat", _RESOURCES, kinds),
        ("Deployment/chat", "spec.template.spec.containers[0].args", ["--model=/w", "--tensor-parallel-size=1"]),
    )  # fmt: skip
    assert ask("gpu-parallelism", one, {}).clean
    two = edited(("Deployment/chat", _RESOURCES, kinds))
    assert ask("gpu-parallelism", two, {}).rows


def test_a_slice_too_is_requested_as_it_is_limited() -> None:
    kinds = {"requests": {"nvidia.com/mig-1g.10gb": "1"}, "limits": {"nvidia.com/mig-1g.10gb": "2"}}
    found = ask("gpu-request", edited(("Deployment/chat", _RESOURCES, kinds)), {})
    assert "differs from its limit" in found.rows[0][2]
