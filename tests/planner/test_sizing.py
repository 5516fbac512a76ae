"""Sizing a stack: what it chooses, when it refuses, and how its choice reaches the plan."""

from __future__ import annotations

import copy
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planner.catalogue import load
from planner.faults import UserFault
from planner.lock import parse_lock
from planner.plan import Plan, make_plan
from planner.settings import parse
from planner.sizing import Sizing, differences, with_hardware
from planner.sizing.decide import decide

ROOT = Path(__file__).parents[2]
TRAFFIC = {"requests_per_second": 2, "input_tokens": 800, "output_tokens": 200}
CHAT = {"source": "Qwen/Qwen3-8B", "hardware": "auto", "traffic": TRAFFIC, "slo": {"ttft_ms": 500, "tpot_ms": 80}}
BASE: dict[str, Any] = {
    "target": "local",
    "environment": "staging",
    "applications": {"assistant": {"image": {"build": "./app"}, "model": "chat"}},
    "models": {"chat": CHAT},
}


def changed(**paths: Any) -> dict[str, Any]:
    """The base with values at paths such as ``models__chat__replicas``."""
    raw = copy.deepcopy(BASE)
    for path, value in paths.items():
        *parents, last = path.split("__")
        target = raw
        for part in parents:
            target = target.setdefault(part, {})
        target[last] = value
    return raw


def sized(raw: dict[str, Any]) -> Sizing:
    return decide(parse(raw, where="Pulumi.x.yaml"), load(), where="Pulumi.x.yaml")


def planned(raw: dict[str, Any], sizing: Sizing | None = None) -> Plan:
    lock = parse_lock({"sizing": sizing.model_dump(mode="json")} if sizing else {}, where="locks/x.json")
    return make_plan(parse(raw, where="Pulumi.x.yaml"), stack="x", lock=lock)


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(UserFault) as caught:
        sized(raw)
    assert len(caught.value.faults) == 1
    return str(caught.value)


def test_the_choice_keeps_the_promises_and_fits_by_plain_arithmetic() -> None:
    chat = sized(BASE).models["chat"]
    catalogue = load()
    instance, model = catalogue.instances[chat.instance_type], catalogue.models["Qwen/Qwen3-8B"]
    gpu = catalogue.gpus[instance.gpu or ""]
    assert model.weight_gib / chat.tensor_parallel < 0.92 * gpu.memory_gib
    # A token cannot be faster than one pass over the weights.
    least_ms = model.weight_gib * 2**30 / chat.tensor_parallel / (gpu.bandwidth_gb_per_second * 1e9) * 1e3
    assert least_ms < chat.tpot_ms <= 80 and chat.ttft_ms <= 500
    assert chat.replicas * chat.requests_per_second >= 2
    assert chat.gpus == chat.tensor_parallel <= instance.gpus
    assert chat.usd_per_month == pytest.approx(instance.usd_per_hour * 730 * chat.nodes, abs=0.01)


def test_every_decision_comes_with_its_reasons_and_the_source_of_its_price() -> None:
    sizing = sized(BASE)
    chat = sizing.models["chat"]
    assert sizing.usd_per_month == chat.usd_per_month
    assert chat.runner_up.endswith("USD/month") and "requests/s" in chat.binding
    assert chat.rejected and all(item.reason for item in chat.rejected)
    assert chat.price_source and chat.price_date


def test_stand_ins_have_as_many_of_the_gpus_and_are_no_cheaper() -> None:
    chat, kinds = sized(BASE).models["chat"], load().instances
    assert chat.fallbacks
    for name in chat.fallbacks:
        assert kinds[name].gpus == kinds[chat.instance_type].gpus
        assert kinds[name].usd_per_hour >= chat.usd_per_hour


def test_the_dearest_stand_in_stays_within_the_budget() -> None:
    free = sized(BASE)
    tight = sized(changed(budget__usd_per_month=free.usd_per_month + 1))
    assert tight.models["chat"].instance_type == free.models["chat"].instance_type
    assert tight.models["chat"].fallbacks == ()


def test_precision_is_lowered_only_where_that_is_allowed() -> None:
    published = sized(changed(models__chat__source="Qwen/Qwen3-32B")).models["chat"]
    lowered = sized(changed(models__chat__source="Qwen/Qwen3-32B", models__chat__quality_steps=["fp8"])).models["chat"]
    assert (published.precision, published.quantization) == ("bf16", "auto")
    assert (lowered.precision, lowered.quantization) == ("fp8", "fp8")
    assert lowered.usd_per_month <= published.usd_per_month
    stated = sized(changed(models__chat__quantization="fp8")).models["chat"]
    assert stated.quantization == "fp8"


def test_stated_replicas_bound_the_choice() -> None:
    assert sized(changed(models__chat__replicas=3)).models["chat"].replicas == 3
    busy = {**TRAFFIC, "requests_per_second": 60}
    capped = sized(changed(models__chat__traffic=busy, models__chat__replicas={"min": 1, "max": 4})).models["chat"]
    assert 1 <= capped.replicas <= 4 and capped.replicas * capped.requests_per_second >= 60 * 0.8


def test_stated_hardware_counts_against_the_caps() -> None:
    raw = changed(models__other={"source": "Qwen/Qwen3-8B", "hardware": {"instance_type": "g6e.xlarge"}, "replicas": 2})
    both = sized(raw)
    assert set(both.models) == {"chat"}
    assert both.usd_per_month == pytest.approx(both.models["chat"].usd_per_month + 2 * 1.861 * 730, abs=0.02)
    assert "budget.gpus" in refusal({**raw, "budget": {"gpus": 2}})


def test_a_budget_too_small_is_refused_with_the_budget_that_would_do() -> None:
    text = refusal(changed(budget__usd_per_month=300))
    assert "demand of chat and budget.usd_per_month together" in text
    needed = int(text.split("budget.usd_per_month 300 -> ")[1].split(" ")[0].replace(",", ""))
    assert sized(changed(budget__usd_per_month=needed)).usd_per_month <= needed


def test_a_promise_nobody_can_keep_names_one_that_can_be_kept() -> None:
    text = refusal(changed(models__chat__slo={"ttft_ms": 500, "tpot_ms": 1}))
    tpot = int(text.split("slo.tpot_ms 1 -> ")[1].split(" ")[0])
    assert sized(changed(models__chat__slo={"ttft_ms": 500, "tpot_ms": tpot})).models["chat"].tpot_ms <= tpot


def test_memory_of_the_budget_is_kept_too() -> None:
    sizing = sized(changed(budget__memory_gib=64))
    assert planned({**BASE, "budget": {"memory_gib": 64}}, sizing).models[0].memory_gib < 64


def test_own_prices_and_rows_are_used() -> None:
    free = sized(BASE).models["chat"]
    raw = changed(catalog={"instances": [{"name": "g6.xlarge", "usd_per_hour": 0.01, "price_date": "2026-11-01"}]})
    settings = parse(raw, where="Pulumi.x.yaml")
    plan = planned({**raw, "environment": "dev"})
    assert settings.catalog.instances and plan.models[0].instance_type == "g6.xlarge" != free.instance_type
    assert plan.decisions[0].price_source == "stack file"


def test_the_lock_reaches_plan_pool_and_reasons() -> None:
    sizing = sized(BASE)
    plan, chat = planned(BASE, sizing), sizing.models["chat"]
    (model,) = plan.models
    assert (model.instance_type, model.fallbacks, model.gpus) == (chat.instance_type, chat.fallbacks, chat.gpus)
    assert (model.batched_tokens, model.max_sequences) == (chat.batched_tokens, chat.max_sequences)
    assert plan.gpu_pool and set(plan.gpu_pool.instance_types) == {chat.instance_type, *chat.fallbacks}
    assert plan.usd_per_month == sizing.usd_per_month
    assert plan.decisions[0].chosen.startswith(chat.chosen) and plan.decisions[0].runner_up == chat.runner_up


def test_without_a_current_lock_the_command_is_named_and_the_difference_told() -> None:
    with pytest.raises(UserFault, match="the lock has no sizing") as missing:
        planned(BASE)
    assert "python3 -m llmos size --stack x" in str(missing.value)
    stale = changed(models__chat__slo={"ttft_ms": 300, "tpot_ms": 80}, budget__gpus=8)
    with pytest.raises(UserFault) as caught:
        planned(stale, sized(BASE))
    assert "budget.gpus was unset and is 8" in str(caught.value)
    assert "models.chat.slo.ttft_ms was 500 and is 300" in str(caught.value)
    assert "llmos size --stack x" in str(caught.value)


def test_dev_is_sized_in_memory() -> None:
    assert planned({**BASE, "environment": "dev"}).models[0].instance_type == sized(BASE).models["chat"].instance_type


def test_a_damaged_sizing_is_one_clear_fault() -> None:
    with pytest.raises(UserFault, match="not a sizing as the program writes it"):
        make_plan(parse(BASE, where="P"), stack="x", lock=parse_lock({"sizing": {"hash": 1}}, where="locks/x.json"))


def test_a_preview_with_a_current_lock_imports_no_solver(tmp_path: Path) -> None:
    lock = tmp_path / "x.json"
    lock.write_text(json.dumps({"raw": BASE, "sizing": sized(BASE).model_dump(mode="json")}), encoding="utf-8")
    program = (
        "import json, pathlib, sys\n"
        "from planner.lock import parse_lock\n"
        "from planner.plan import make_plan\n"
        "from planner.settings import parse\n"
        f"kept = json.loads(pathlib.Path({str(lock)!r}).read_text(encoding='utf-8'))\n"
        "lock = parse_lock({'sizing': kept['sizing']}, where='locks/x.json')\n"
        "plan = make_plan(parse(kept['raw'], where='P'), stack='x', lock=lock)\n"
        "solvers = {'highspy', 'scipy', 'planner.allocation', 'planner.sizing.decide'}\n"
        "print(plan.models[0].instance_type, sorted(solvers & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [sized(BASE).models["chat"].instance_type, "[]"]


def test_differences_are_words_and_long_lists_end_in_a_count() -> None:
    many = {f"models.m{n}.source": n for n in range(7)}
    assert differences(many, {})[-1] == "3 more"
    assert differences({"catalogue.instances": "a"}, {"catalogue.instances": "b"}) == [
        "instances of the catalogue have changed (prices, figures or rows)"
    ]


def test_a_scaled_model_is_sized_for_its_maximum_and_keeps_its_range() -> None:
    raw = changed(models__chat__replicas={"min": 1, "max": 3}, models__chat__autoscaling="keda")
    raw |= {"target": "kubernetes", "context": "c", "observability": {"prometheus_url": "http://prometheus.monitoring:9090"}}
    raw |= {"gpu_pool": {"node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}}}
    raw |= {"registry": {"server": "registry.example.com/team"}}
    sizing = sized(raw)
    assert sizing.models["chat"].replicas == 3
    model = with_hardware(parse(raw, where="P"), sizing).models["chat"]
    assert (model.minimum_replicas, model.maximum_replicas) == (1, 3)


@pytest.mark.parametrize("day", [dt.date(2026, 11, 1), "2026-11-01", "2026-11-01T00:00:00Z"])
def test_a_day_is_read_however_the_configuration_carries_it(day: Any) -> None:
    raw = changed(catalog={"instances": [{"name": "g6.xlarge", "usd_per_hour": 1, "price_date": day}]})
    assert parse(raw, where="P").catalog.instances[0]["price_date"] == "2026-11-01"
