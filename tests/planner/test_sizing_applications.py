"""Pods without a GPU in a sizing: where they fit, what that costs, and when it counts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmos.plots import _bars
from planner.catalogue import load
from planner.faults import UserFault
from planner.lock import parse_lock
from planner.plan import Plan, make_plan
from planner.settings import parse
from planner.sizing import Sizing, with_own_rows
from planner.sizing.curve import APPLICATIONS_LAYER, cost_curve
from planner.sizing.decide import decide

CHAT = {
    "source": "Qwen/Qwen3-8B", "hardware": "auto", "slo": {"ttft_ms": 500, "tpot_ms": 80},
    "traffic": {"requests_per_second": 2, "input_tokens": 800, "output_tokens": 200},
}  # fmt: skip
BASE: dict[str, Any] = {
    "target": "local",
    "environment": "staging",
    "applications": {
        "assistant": {"image": {"build": "./app"}, "model": "chat", "replicas": {"min": 3, "max": 10}},
        "batch": {"image": {"build": "./app"}, "replicas": 3, "resources": {"cpu": "2", "memory": "3Gi"}},
    },
    "models": {"chat": CHAT, "tiny": {"source": "builtin:tiny", "engine": "llama.cpp"}},
}
RENTED = {"sizing": {"applications": "rented"}}


def sized(raw: dict[str, Any]) -> Sizing:
    return decide(parse(raw, where="Pulumi.x.yaml"), load(), where="Pulumi.x.yaml")


def planned(raw: dict[str, Any], sizing: Sizing) -> Plan:
    lock = parse_lock({"sizing": sizing.model_dump(mode="json")}, where="locks/x.json")
    return make_plan(parse(raw, where="Pulumi.x.yaml"), stack="x", lock=lock)


def with_application(**settings: Any) -> dict[str, Any]:
    raw = copy.deepcopy(BASE)
    raw["applications"]["assistant"] |= settings
    return raw


def test_every_pod_has_a_node_that_holds_it_by_plain_arithmetic() -> None:
    side, kinds = sized(BASE).applications, load().instances
    assert side is not None
    asked = {"applications.assistant": (10, 0.5, 0.5), "applications.batch": (3, 2, 3), "models.tiny": (1, 0.5, 0.5)}
    assert side.pods == {name: count for name, (count, _, _) in asked.items()}
    placed = dict.fromkeys(asked, 0)
    for node in side.nodes:
        kind = kinds[node.instance_type]
        assert not kind.gpus and kind.supported and kind.architecture == "amd64"
        assert sum(n * asked[name][1] for name, n in node.pods.items()) <= 0.75 * kind.vcpu
        assert sum(n * asked[name][2] for name, n in node.pods.items()) <= 0.75 * kind.memory_gib
        for name, count in node.pods.items():
            placed[name] += count * node.count
    assert placed == side.pods
    rent = sum(node.count * (kinds[node.instance_type].usd_per_hour or 0) * 730 for node in side.nodes)
    assert side.usd_per_month == pytest.approx(rent, abs=0.01)


def test_the_choice_comes_with_its_reasons() -> None:
    side = sized(BASE).applications
    assert side is not None
    assert "vCPU fills these nodes first: the pods request 11.5 of" in side.binding
    assert side.runner_up.endswith("USD/month")
    dearer = float(side.runner_up.split(", ")[-1].removesuffix(" USD/month").replace(",", ""))
    assert dearer >= side.usd_per_month
    assert side.price_source and side.price_date
    assert any("arm64" in item.reason for item in side.rejected)
    chosen = {node.instance_type for node in side.nodes}
    assert side.rejected and not any(item.option.split(",")[0] in chosen for item in side.rejected)
    large = sized(with_application(resources={"cpu": "6", "memory": "6Gi"})).applications
    assert large is not None
    assert any("requests 6 vCPU and 6 GiB, and pods may use 3 vCPU" in item.reason for item in large.rejected)


def test_nodes_of_the_cluster_are_shown_but_not_counted() -> None:
    sizing = sized({**BASE, "budget": {"usd_per_month": 1400}})
    assert sizing.applications is not None and not sizing.applications.counted
    assert sizing.usd_per_month == sizing.models["chat"].usd_per_month
    plan = planned({**BASE, "budget": {"usd_per_month": 1400}}, sizing)
    assert [cost.subject for cost in plan.costs] == ["models.chat"]
    assert any(d.subject == "applications.nodes" and "not in the total" in d.chosen for d in plan.decisions)


def test_rented_nodes_are_in_the_total_of_the_lock_and_of_the_preview() -> None:
    raw = {**BASE, **RENTED}
    sizing = sized(raw)
    assert sizing.applications is not None and sizing.applications.counted
    parts = sizing.models["chat"].usd_per_month + sizing.applications.usd_per_month
    assert sizing.usd_per_month == pytest.approx(parts, abs=0.02)
    plan = planned(raw, sizing)
    assert plan.usd_per_month == pytest.approx(sizing.usd_per_month, abs=0.02)
    assert {cost.subject for cost in plan.costs} == {"models.chat", "applications"}


def test_rented_nodes_count_against_the_budget_and_quotas() -> None:
    alone = sized(BASE).models["chat"].usd_per_month
    with pytest.raises(UserFault) as caught:
        sized({**BASE, **RENTED, "budget": {"usd_per_month": alone + 100}})
    text = str(caught.value)
    assert "budget.usd_per_month" in text and "replicas of applications." in text
    needed = float(text.split(f"budget.usd_per_month {alone + 100:,.10g} -> ")[1].split(" ")[0].replace(",", ""))
    enough = sized({**BASE, **RENTED, "budget": {"usd_per_month": needed}})
    assert enough.usd_per_month is not None and enough.usd_per_month <= needed
    few = {"quotas": [{"instance_types": ["c7i.*"], "nodes": 0}]}
    kept = sized({**BASE, **RENTED, "gpu_pool": few}).applications
    assert kept is not None and all(not node.instance_type.startswith("c7i.") for node in kept.nodes)


def test_the_curve_of_costs_has_them_where_they_count() -> None:
    points = cost_curve(parse({**BASE, **RENTED}, where="P"), load(), where="P")
    side = sized({**BASE, **RENTED}).applications
    assert side is not None
    for point in points:
        assert point.usd_per_month[APPLICATIONS_LAYER] == pytest.approx(side.usd_per_month, rel=1e-3)
    assert all(set(point.usd_per_month) == {"chat"} for point in cost_curve(parse(BASE, where="P"), load(), where="P"))


def test_a_picture_of_a_node_without_gpus_has_no_bars_of_gpus() -> None:
    shares = {label.split("\n")[0]: set(row) for label, row in _bars(sized(BASE))}
    assert shares["g6e.xlarge"] > shares["c7i.large"] == {"vCPU requested", "memory requested"}


def test_owned_nodes_are_filled_before_any_is_rented() -> None:
    side = sized({**BASE, "gpu_pool": {"owned": {"m7i.4xlarge": 1}}}).applications
    assert side is not None
    assert [(node.instance_type, node.purchase) for node in side.nodes] == [("m7i.4xlarge", "owned")]
    assert side.usd_per_month == 0


def test_images_for_arm_run_on_arm() -> None:
    raw = copy.deepcopy(BASE)
    del raw["models"]["tiny"], raw["applications"]["batch"]
    raw["applications"]["assistant"]["image"] = {"build": "./app", "platforms": ["linux/arm64"]}
    side = sized(raw).applications
    assert side is not None
    assert {load().instances[node.instance_type].architecture for node in side.nodes} == {"arm64"}


def test_a_pod_that_no_machine_holds_is_said_and_refused_where_it_counts() -> None:
    raw = with_application(resources={"cpu": "90", "memory": "8Gi"})
    side = sized(raw).applications
    assert side is not None and "applications.assistant" not in side.pods
    assert any("90 vCPU" in item.option and "leaves 48 vCPU" in item.reason for item in side.rejected)
    with pytest.raises(UserFault, match="a pod asks for 90 vCPU"):
        sized({**raw, **RENTED})


def test_the_lock_is_stale_when_a_pod_asks_for_more() -> None:
    with pytest.raises(UserFault, match=r"applications\.assistant\.cpu was 500m and is 2"):
        planned(with_application(resources={"cpu": "2", "memory": "512Mi"}), sized(BASE))


pods = st.fixed_dictionaries({"cpu": st.sampled_from(("250m", "500m", "1", "3")), "replicas": st.integers(1, 12)})


@settings(max_examples=15, deadline=None)
@given(pods, pods, st.integers(0, 6), st.sampled_from(("c7i.large", "c7i.xlarge", "m7i.large")), st.floats(1, 3))
def test_more_pods_and_dearer_machines_never_cost_less(
    first: dict[str, Any], second: dict[str, Any], more: int, kind: str, times: float
) -> None:
    def cost(extra: int, catalog: dict[str, Any] | None = None) -> float:
        raw = {
            "target": "local",
            "applications": {
                name: {"image": {"build": "./app"}, "replicas": one["replicas"] + extra,
                       "resources": {"cpu": one["cpu"], "memory": "512Mi"}}
                for name, one in (("a", first), ("b", second))
            },
            "models": {"chat": {**CHAT, "hardware": {"instance_type": "g6.xlarge"}}},
            "catalog": catalog or {},
        }  # fmt: skip
        parsed = parse(raw, where="P")
        side = decide(parsed, with_own_rows(load(), parsed, where="P"), where="P").applications
        assert side is not None
        return side.usd_per_month

    base = cost(0)
    assert cost(more) >= base * (1 - 2e-4) - 0.02
    price = load().instances[kind].usd_per_hour
    assert price is not None
    dearer = {"instances": [{"name": kind, "usd_per_hour": price * times, "price_date": "2026-11-01"}]}
    assert cost(0, dearer) >= base * (1 - 2e-4) - 0.02
