"""A model whose hardware was sized: what its pods and pool then ask for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import by_name

TYPE = "node.kubernetes.io/instance-type"
RAW: dict[str, Any] = {
    "target": "local",
    "applications": {"assistant": {"image": {"build": "./app"}, "model": "chat"}},
    "models": {
        "chat": {
            "source": "Qwen/Qwen3-8B",
            "hardware": "auto",
            "slo": {"ttft_ms": 500, "tpot_ms": 80},
            "traffic": {"requests_per_second": 2, "input_tokens": 800, "output_tokens": 200},
        }
    },
}


@pytest.fixture(scope="module")
def objects() -> dict[tuple[str, str], Any]:
    return by_name(RAW)


def test_pods_go_to_any_type_that_may_stand_in_and_the_pool_makes_them(objects: dict[tuple[str, str], Any]) -> None:
    pod = objects["Deployment", "chat"]["spec"]["template"]["spec"]
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"][0]["matchExpressions"]
    pool = objects["NodePool", "llmagentos-dev-gpu"]["spec"]["template"]["spec"]["requirements"]
    made = next(item["values"] for item in pool if item["key"] == TYPE)
    assert len(made) >= 2 and sorted(term["values"]) == made
    assert TYPE not in pod["nodeSelector"]


def test_the_server_runs_with_what_was_sized(objects: dict[tuple[str, str], Any]) -> None:
    (server,) = objects["Deployment", "chat"]["spec"]["template"]["spec"]["containers"]
    arguments = dict(argument.split("=", 1) for argument in server["args"] if "=" in argument)
    assert server["resources"]["limits"]["nvidia.com/gpu"] == arguments["--tensor-parallel-size"]
    assert int(arguments["--max-num-batched-tokens"]) >= 2048 and int(arguments["--max-num-seqs"]) >= 256
