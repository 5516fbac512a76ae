"""What must hold for any stack: dearer prices, larger budgets, looser promises, other names and orders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from planner.catalogue import Catalogue, load
from planner.faults import UserFault
from planner.settings import parse
from planner.sizing import Sizing
from planner.sizing.decide import decide

ROOT = Path(__file__).parents[2]
SOURCES = ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-4B", "Qwen/Qwen3-8B", "Qwen/Qwen3-14B")
# Few types keep an example at some tens of milliseconds.
KINDS = (
    "g4dn.xlarge", "g5.xlarge", "g5.2xlarge", "g6.xlarge", "g6.12xlarge", "g6e.xlarge", "p4d.24xlarge", "p5.4xlarge",
)  # fmt: skip

models = st.fixed_dictionaries(
    {
        "source": st.sampled_from(SOURCES),
        "rate": st.floats(0.1, 40),
        "input_tokens": st.integers(50, 2000),
        "output_tokens": st.integers(20, 500),
        "tpot_ms": st.integers(40, 120),
        "ttft_ms": st.integers(400, 3000),
    }
)
stacks = st.lists(models, min_size=1, max_size=2)


def catalogue(**prices: float) -> Catalogue:
    full = load()
    kept = Catalogue(instances={kind: full.instances[kind] for kind in KINDS}, gpus=full.gpus, models=full.models)
    rows = [{"name": kind, "usd_per_hour": price, "price_date": "2026-11-01"} for kind, price in prices.items()]
    return kept.with_rows(instances=rows)


def raw(stack: list[dict[str, Any]], *, names: str = "ab", **more: Any) -> dict[str, Any]:
    made = {
        name: {
            "source": model["source"],
            "hardware": "auto",
            "context_tokens": 8192,
            "slo": {"ttft_ms": model["ttft_ms"], "tpot_ms": model["tpot_ms"]},
            "traffic": {
                "requests_per_second": model["rate"],
                "input_tokens": model["input_tokens"],
                "output_tokens": model["output_tokens"],
            },
        }
        for name, model in zip(names, stack, strict=False)
    }
    return {"target": "local", "applications": {"app": {"image": {"build": "./app"}}}, "models": made, **more}


def size(content: dict[str, Any], facts: Catalogue | None = None) -> Sizing | None:
    try:
        return decide(parse(content, where="P"), facts or catalogue(), where="P")
    except UserFault:
        return None


def cost(content: dict[str, Any], facts: Catalogue | None = None) -> float:
    found = size(content, facts)
    return float("inf") if found is None or found.usd_per_month is None else found.usd_per_month


quick = settings(max_examples=12, deadline=None)
# Reasons for a refusal take seconds.
slow = settings(max_examples=4, deadline=None)


@quick
@given(stacks, st.sampled_from(KINDS), st.floats(1, 4))
def test_a_dearer_type_never_makes_a_stack_cheaper(stack: list[dict[str, Any]], kind: str, times: float) -> None:
    price = load().instances[kind].usd_per_hour
    assert price is not None
    assert cost(raw(stack), catalogue(**{kind: price * times})) >= cost(raw(stack)) - 0.02


@slow
@given(stacks, st.floats(200, 20_000), st.floats(1, 3))
def test_a_larger_budget_never_makes_a_stack_dearer_or_impossible(
    stack: list[dict[str, Any]], budget: float, times: float
) -> None:
    tight = cost(raw(stack, budget={"usd_per_month": budget}))
    assert cost(raw(stack, budget={"usd_per_month": budget * times})) <= tight + 0.02
    assert tight == float("inf") or tight <= budget + 0.02


@quick
@given(stacks, st.sampled_from(("ttft_ms", "tpot_ms")), st.floats(1, 3))
def test_a_looser_promise_never_makes_a_stack_dearer(stack: list[dict[str, Any]], key: str, times: float) -> None:
    looser = [{**model, key: int(model[key] * times)} for model in stack]
    assert cost(raw(looser)) <= cost(raw(stack)) * (1 + 1e-4) + 0.02


@quick
@given(stacks)
def test_names_and_order_do_not_matter(stack: list[dict[str, Any]]) -> None:
    here, there = size(raw(stack, names="ab")), size(raw(stack[::-1], names="zy"[-len(stack):]))
    if here is None or there is None:
        assert here is there
        return
    assert sorted(m.instance_type for m in here.models.values()) == sorted(
        m.instance_type for m in there.models.values()
    )
    assert here.usd_per_month == there.usd_per_month


def test_the_same_input_gives_the_same_bytes() -> None:
    stack = [{"source": s, "rate": 3, "input_tokens": 500, "output_tokens": 100, "tpot_ms": 80, "ttft_ms": 900}
             for s in SOURCES[:2]]  # fmt: skip
    first, second = size(raw(stack)), size(json.loads(json.dumps(raw(stack))))
    assert first is not None and second is not None
    assert first.model_dump_json() == second.model_dump_json()


def test_five_models_over_all_gpu_types_take_two_seconds_and_300_mb() -> None:
    program = (
        "import time, psutil\n"
        "from planner.catalogue import load\n"
        "from planner.settings import parse\n"
        "from planner.sizing.decide import decide\n"
        "load()\n"
        "traffic = lambda rate: {'requests_per_second': rate, 'input_tokens': 800, 'output_tokens': 200}\n"
        "asked = {'Qwen/Qwen3-8B': 2, 'Qwen/Qwen3-32B': 4, 'meta-llama/Llama-3.3-70B-Instruct': 3,\n"
        "         'Qwen/Qwen3-30B-A3B': 20, 'Qwen/Qwen3-0.6B': 50}\n"
        "models = {f'm{n}': {'source': source, 'hardware': 'auto', 'slo': {'ttft_ms': 1000, 'tpot_ms': 60},\n"
        "          'traffic': traffic(rate)} for n, (source, rate) in enumerate(asked.items())}\n"
        "raw = {'target': 'local', 'applications': {'a': {'image': {'build': './app'}}}, 'models': models}\n"
        "settings, started = parse(raw, where='P'), time.process_time()\n"
        "sizing = decide(settings, load(), where='P')\n"
        "print(len(sizing.models), time.process_time() - started,\n"
        "      psutil.Process().memory_info().rss / 1e6)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    count, seconds, megabytes = map(float, done.stdout.split())
    assert count == 5
    assert seconds <= 2
    assert megabytes <= 300


@quick
@given(stacks)
def test_every_choice_fits_by_an_independent_recomputation(stack: list[dict[str, Any]]) -> None:
    """Plain arithmetic from the catalogue's figures: nothing of the memory, throughput or allocation modules."""
    sizing, facts = size(raw(stack)), catalogue()
    if sizing is None:
        return
    for name, asked in zip("ab", stack, strict=False):
        chosen, model = sizing.models[name], facts.models[asked["source"]]
        instance = facts.instances[chosen.instance_type]
        gpu = facts.gpus[instance.gpu or ""]
        assert chosen.gpus == chosen.tensor_parallel * chosen.pipeline_parallel <= instance.gpus
        assert model.heads % chosen.tensor_parallel == 0
        # Weights and the cache of one longest sequence, spread over the GPUs, within 92 % of what CUDA reports.
        cache = 8192 * 2 * model.layers * model.kv_heads * model.head_dim * 2 / 2**30
        share = chosen.tensor_parallel * chosen.pipeline_parallel
        assert model.weight_gib / share + cache / min(share, model.kv_heads) < 0.92 * gpu.memory_gib
        # No token is faster than one pass over the weights at the memory's peak.
        pass_ms = model.weight_gib * 2**30 / chosen.tensor_parallel / (gpu.bandwidth_gb_per_second * 1e9) * 1e3
        assert pass_ms < chosen.tpot_ms <= asked["tpot_ms"] and chosen.ttft_ms <= asked["ttft_ms"]
        assert chosen.replicas * chosen.gpus <= chosen.nodes * instance.gpus
        assert 0 < chosen.busy <= 1 + 1e-6
    rents = sum(
        node.count * (facts.instances[node.instance_type].usd_per_hour or 0) * 730 for node in sizing.nodes
    )
    assert abs(rents - (sizing.usd_per_month or 0)) < 0.05


@quick
@given(stacks, st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 6))
def test_more_owned_nodes_never_make_a_stack_dearer(
    stack: list[dict[str, Any]], kind: str, few: int, more: int
) -> None:
    some = cost(raw(stack, gpu_pool={"owned": {kind: few}}))
    assert cost(raw(stack, gpu_pool={"owned": {kind: few + more}})) <= some + 0.02
    assert some <= cost(raw(stack)) + 0.02


@slow
@given(stacks, st.sampled_from(("g*", "g6e.*", "p*")), st.integers(0, 20), st.integers(0, 20))
def test_a_looser_quota_never_makes_a_stack_dearer_or_impossible(
    stack: list[dict[str, Any]], kinds: str, tight: int, more: int
) -> None:
    def under(gpus: int) -> float:
        return cost(raw(stack, gpu_pool={"quotas": [{"instance_types": [kinds], "gpus": gpus}]}))

    assert under(tight + more) <= under(tight) + 0.02


@quick
@given(stacks, st.integers(0, 3), st.floats(0, 1))
# A share a hair below one makes a coefficient that is nearly zero.
@example([{"source": SOURCES[0], "rate": 9.0, "input_tokens": 50, "output_tokens": 427, "tpot_ms": 40, "ttft_ms": 400}],
         0, 1 - 2**-53)
def test_a_lower_floor_off_spot_never_makes_a_stack_dearer(
    stack: list[dict[str, Any]], replicas: int, share: float
) -> None:
    rows = [{"name": kind, "spot_usd_per_hour": 0.3 * price, "spot_price_date": "2026-11-20"}
            for kind in KINDS if (price := load().instances[kind].usd_per_hour)]  # fmt: skip
    facts = catalogue().with_rows(instances=rows)

    def above(floor: dict[str, Any] | bool) -> float:
        return cost(raw(stack, gpu_pool={"spot": floor}), facts)

    firm = above({"on_demand_replicas": replicas, "on_demand_share": share})
    assert above(True) - 0.02 <= above({"on_demand_replicas": 0, "on_demand_share": share}) <= firm + 0.02
    assert firm <= above(False) * (1 + 1e-4) + 0.02
