"""Sizing for target aws: prices of the region, and the floor on demand under spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos import stacks
from llmos.cli import run
from planner.faults import UserFault
from tests.aws.stacks import of_kind, plan, program, variant

AUTO = {
    "models": {
        "chat": {
            "hardware": "auto", "slo": {"ttft_ms": 500, "tpot_ms": 80},
            "traffic": {"requests_per_second": 2, "input_tokens": 800, "output_tokens": 200},
        }
    }
}  # fmt: skip


@pytest.fixture
def auto(dev: dict[str, Any]) -> dict[str, Any]:
    changed = variant(dev, AUTO)
    changed["models"]["chat"].pop("replicas", None)
    changed["budget"] = {}
    return changed


def test_what_size_writes_is_current_at_preview(
    auto: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto["environment"] = "staging"
    monkeypatch.setenv("LLMOS_LOCKS", str(tmp_path))
    path = tmp_path / "Pulumi.aws-dev.yaml"
    path.write_text(yaml.safe_dump({"config": {stacks.CONFIG_KEY: auto}}), encoding="utf-8")
    assert run(["size", "--file", str(path)]) == 0
    kept = json.loads((tmp_path / "aws-dev.json").read_text(encoding="utf-8"))["sizing"]
    found = stacks.load_stack("aws-dev", file=path).plan
    assert found.models[0].instance_type == kept["models"]["chat"]["instance_type"]


def test_another_region_has_no_prices_and_says_so(auto: dict[str, Any]) -> None:
    auto["aws"]["region"] = "eu-central-1"
    with pytest.raises(UserFault, match="none of which has a known price"):
        plan(auto)


def test_the_floor_of_the_models_is_the_floor_of_the_pool(dev: dict[str, Any]) -> None:
    changed = variant(dev, {"gpu_pool": {"spot": {"on_demand_replicas": 2}, "max_gpus": 5}})
    changed["models"]["chat"]["replicas"] = 4
    changed["budget"] = {}
    pools = of_kind(program(changed, "aws-dev"), "NodePool")
    limits = {name: pool.inputs["spec"]["limits"]["nvidia.com/gpu"] for name, pool in pools.items()}
    assert limits == {"gpu-pool-floor": "2", "gpu-pool": "3"}
