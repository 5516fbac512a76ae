"""Nodes that exist, quotas, spot above a floor, spread and objectives: each from the stack file to the choice."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from planner.catalogue import load
from planner.faults import UserFault
from planner.settings import parse
from planner.sizing import Sizing, with_own_rows
from planner.sizing.decide import decide

BASE: dict[str, Any] = {
    "target": "local",
    "applications": {"assistant": {"image": {"build": "./app"}}},
    "models": {
        "chat": {
            "source": "Qwen/Qwen3-8B",
            "hardware": "auto",
            "slo": {"ttft_ms": 500, "tpot_ms": 80},
            "traffic": {"requests_per_second": 24, "input_tokens": 800, "output_tokens": 200},
        }
    },
}


def sized(pool: dict[str, Any] | None = None, **paths: Any) -> Sizing:
    raw = copy.deepcopy(BASE)
    raw["gpu_pool"] = pool or {}
    for path, value in paths.items():
        *parents, last = path.split("__")
        target = raw
        for part in parents:
            target = target.setdefault(part, {})
        target[last] = value
    settings = parse(raw, where="P")
    return decide(settings, with_own_rows(load(), settings, where="P"), where="P")


def refusal(pool: dict[str, Any], **paths: Any) -> str:
    with pytest.raises(UserFault) as caught:
        sized(pool, **paths)
    return str(caught.value)


FREE = sized()


def test_owned_nodes_are_used_first_and_cost_no_rent() -> None:
    kind = FREE.models["chat"].instance_type
    some = sized({"owned": {kind: 2}})
    chat = some.models["chat"]
    assert (chat.instance_type, chat.owned_nodes, chat.nodes) == (kind, 2, FREE.models["chat"].nodes)
    assert chat.usd_per_month == pytest.approx(FREE.usd_per_month * (chat.nodes - 2) / chat.nodes, rel=1e-6)
    assert "2 of them owned" in chat.chosen
    all_of_them = sized({"owned": {kind: 50}})
    assert all_of_them.usd_per_month == 0 and all_of_them.models["chat"].owned_nodes == chat.nodes
    assert {node.purchase for node in all_of_them.nodes} == {"owned"}


def test_a_dearer_type_that_is_owned_is_preferred_to_renting() -> None:
    owned = sized({"owned": {"p5.4xlarge": 4}}).models["chat"]
    assert (owned.instance_type, owned.usd_per_month) == ("p5.4xlarge", 0)
    assert owned.usd_per_month < FREE.models["chat"].usd_per_month


def test_models_share_the_nodes_of_an_existing_pool() -> None:
    other = {**BASE["models"]["chat"], "source": "Qwen/Qwen3-4B"}
    raw = {"kind": "existing", "selector": {"pool": "gpu"}, "owned": {"g6e.12xlarge": 2}}
    slow = {"requests_per_second": 6, "input_tokens": 800, "output_tokens": 200}
    both = sized(raw, models__other={**other, "traffic": slow}, models__chat__traffic=slow)
    assert {model.instance_type for model in both.models.values()} == {"g6e.12xlarge"}
    assert both.usd_per_month == 0 and len(both.nodes) == 1 and both.nodes[0].count == 1
    (node,) = both.nodes
    assert set(node.pods) == {"models.chat", "models.other"}
    used = sum(count * both.models[name.removeprefix("models.")].gpus for name, count in node.pods.items())
    assert used == node.gpus_used <= node.gpus == 4
    assert node.vcpu_used <= node.vcpu and node.memory_gib_used <= node.memory_gib
    assert all(model.fallbacks == () for model in both.models.values())


def test_an_existing_pool_without_a_fitting_node_says_which_would_do() -> None:
    pool = {"kind": "existing", "selector": {"pool": "gpu"}, "owned": {"g4dn.xlarge": 9}}
    text = refusal(pool)
    assert "the existing pool has none of these" in text and "g6e.xlarge" in text
    full = {"kind": "existing", "selector": {"pool": "gpu"}, "owned": {"g6e.xlarge": 2}}
    assert "demand of chat" in refusal(full)


def test_auto_needs_to_know_the_nodes_of_an_existing_pool() -> None:
    assert "needs to know the nodes of the existing pool" in refusal({"kind": "existing", "selector": {"pool": "gpu"}})


def test_a_quota_moves_the_choice_and_is_named_with_its_price() -> None:
    kind = FREE.models["chat"].instance_type
    less = sized({"quotas": [{"instance_types": [kind], "nodes": 2}]})
    assert less.models["chat"].instance_type != kind
    assert less.usd_per_month > FREE.usd_per_month
    assert "gpu_pool.quotas.0.nodes makes the stack" in less.models["chat"].binding
    text = refusal({"quotas": [{"instance_types": ["*"], "vcpu": 8}]})
    assert "demand of chat and gpu_pool.quotas.0.vcpu together" in text and "gpu_pool.quotas.0.vcpu 8 -> " in text


def test_a_quota_on_other_types_changes_nothing() -> None:
    assert sized({"quotas": [{"instance_types": ["p5*", "trn1.2xlarge"], "gpus": 0}]}).models == FREE.models


def test_a_stand_in_without_quota_is_left_out() -> None:
    names = FREE.models["chat"].fallbacks
    assert len(names) == 2
    quota = {"quotas": [{"instance_types": [names[0]], "nodes": 1}]}
    assert names[0] not in sized(quota).models["chat"].fallbacks


@pytest.mark.parametrize(
    ("floor", "firm"), [({"on_demand_replicas": 1}, 1), ({"on_demand_replicas": 3}, 3), ({"on_demand_share": 0.5}, 2)]
)
def test_replicas_above_the_floor_go_to_spot(floor: dict[str, Any], firm: int) -> None:
    chat = sized({"spot": floor}).models["chat"]
    assert chat.replicas == 4 and chat.spot_replicas == chat.replicas - firm
    assert chat.usd_per_month == pytest.approx(FREE.usd_per_month, rel=1e-5), "without a spot price: at most that"


def test_a_spot_price_is_counted_and_needs_its_day() -> None:
    kind = FREE.models["chat"].instance_type
    row = {"name": kind, "spot_usd_per_hour": 0.6, "spot_price_date": "2026-11-20"}
    cheap = sized({"spot": {"on_demand_replicas": 1}}, catalog={"instances": [row]})
    chat = cheap.models["chat"]
    assert (chat.instance_type, chat.spot_replicas) == (kind, 3)
    assert chat.usd_per_month == pytest.approx(730 * (1.861 + 3 * 0.6), abs=0.02)
    off = sized({}, catalog={"instances": [row]})
    assert off.models["chat"].spot_replicas == 0 and off.usd_per_month == FREE.usd_per_month
    del row["spot_price_date"]
    assert "spot price without `spot_price_date`" in refusal({"spot": True}, catalog={"instances": [row]})


def test_without_a_floor_any_replica_may_be_on_spot() -> None:
    chat = sized({"spot": True}).models["chat"]
    assert chat.spot_replicas == chat.replicas


def test_one_per_node_and_zones_take_the_nodes_that_they_need() -> None:
    types = {"quotas": [{"instance_types": ["g*.xlarge", "g*.2xlarge", "g*.4xlarge", "g*.8xlarge", "p*"], "nodes": 0}]}
    packed = sized(types).models["chat"]
    assert packed.replicas > packed.nodes
    apart = sized(types, models__chat__spread={"one_per_node": True}).models["chat"]
    assert apart.nodes == apart.replicas
    zones = {**types, "zones": ["a", "b", "c"]}
    spread = sized(zones, models__chat__spread={"zones": 3})
    assert {node.zone for node in spread.nodes} == {"a", "b", "c"}
    assert spread.models["chat"].nodes >= 3
    assert "as many zones, and gpu_pool.zones names none" in refusal({}, models__chat__spread={"zones": 2})


def test_the_objective_utilisation_fills_fewer_owned_nodes() -> None:
    pool = {"kind": "existing", "selector": {"pool": "gpu"}, "owned": {"g6e.12xlarge": 3, "g6e.48xlarge": 1}}
    full = sized(pool, sizing={"objective": "utilisation"})
    gpus = sum(node.count * node.gpus for node in full.nodes)
    used = sum(node.count * node.gpus_used for node in full.nodes)
    assert gpus - used < 4, "no smaller set of nodes would hold the replicas"
    assert gpus <= sum(node.count * node.gpus for node in sized(pool).nodes)


def test_the_budget_counts_owned_and_spot_nodes_at_list_price_as_policies_do() -> None:
    kind = FREE.models["chat"].instance_type
    assert FREE.usd_per_month is not None
    assert "budget.usd_per_month" in refusal({"owned": {kind: 50}}, budget={"usd_per_month": FREE.usd_per_month - 1})
    within = sized({"owned": {kind: 50}}, budget={"usd_per_month": FREE.usd_per_month + 1})
    assert within.usd_per_month == 0 and within.models["chat"].fallbacks == ()


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ({"quotas": [{"instance_types": ["g6.*"]}]}, "limits nodes, gpus or vcpu"),
        ({"spot": {"on_demand_share": 2}}, "less than or equal to 1"),
        ({"spot": "yes"}, "valid boolean"),
        ({"owned": {"g6e.xlarge": 0}}, "greater than or equal to 1"),
        ({"kind": "existing", "selector": {"a": "b"}, "spot": True, "owned": {"g6e.xlarge": 9}}, "with kind karpenter"),
        ({"quotas": [{"instance_types": ["g66.*"], "nodes": 1}]}, "`g66.*` is no instance type of the catalogue"),
        ({"owned": {"g6e.xlrge": 2}}, "did you mean `g6e.xlarge`"),
    ],
)
def test_a_wrong_pool_is_one_fault(pool: dict[str, Any], words: str) -> None:
    with pytest.raises(UserFault) as caught:
        sized(pool)
    assert len(caught.value.faults) == 1 and words in str(caught.value)


def test_a_floor_adds_no_replica_for_its_own_sake() -> None:
    slow = {"requests_per_second": 2, "input_tokens": 800, "output_tokens": 200}
    chat = sized({"spot": {"on_demand_replicas": 3}}, models__chat__traffic=slow).models["chat"]
    assert (chat.replicas, chat.spot_replicas) == (1, 0)
    greedy = sized({"spot": {"on_demand_replicas": 3}}, models__chat__traffic=slow, sizing={"solver": "greedy"})
    assert greedy.models["chat"].replicas == 1
