"""What a stack file may say of a model and its load: lengths as distributions, prefixes, unknown models, stages."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from planner.catalogue import load
from planner.faults import UserFault
from planner.plan import Plan, make_plan
from planner.settings import parse
from planner.sizing import SizedModel, with_own_rows
from planner.sizing.decide import decide
from tests.support import by_name

BASE: dict[str, Any] = {
    "target": "local",
    "applications": {"assistant": {"image": {"build": "./app"}, "model": "chat"}},
    "models": {
        "chat": {
            "source": "Qwen/Qwen3-8B",
            "hardware": "auto",
            "slo": {"ttft_ms": 900, "tpot_ms": 80},
            "traffic": {"requests_per_second": 2, "input_tokens": 800, "output_tokens": 200},
        }
    },
}
# 25 heads: no even number of GPUs divides them, so more memory than one GPU's takes stages.
ODD = {
    "id": "acme/odd-14b", "parameters_b": 13.8, "layers": 40, "hidden": 5120, "intermediate": 17920, "heads": 25,
    "kv_heads": 5, "head_dim": 128, "vocabulary": 100352, "max_context_tokens": 16384, "weight_gib": 25.7,
    "source": "our own", "date": "2026-11-01",
}  # fmt: skip
CONFIG = {
    "num_hidden_layers": 28, "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28,
    "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768,
}  # fmt: skip


def stack(**paths: Any) -> dict[str, Any]:
    raw = copy.deepcopy(BASE)
    for path, value in paths.items():
        *parents, last = path.split("__")
        target = raw
        for part in parents:
            target = target.setdefault(part, {})
        target[last] = value
    return raw


def chat(raw: dict[str, Any], folder: Path = Path()) -> SizedModel:
    settings = parse(raw, where="P")
    catalogue = with_own_rows(load(), settings, where="P", folder=folder)
    return decide(settings, catalogue, where="P", folder=folder).models["chat"]


def planned(raw: dict[str, Any], folder: Path = Path()) -> Plan:
    return make_plan(parse(raw, where="P"), stack="dev", folder=folder)


def lengths(inputs: Any, outputs: Any = 200, **more: Any) -> SizedModel:
    traffic = {"requests_per_second": 2, "input_tokens": inputs, "output_tokens": outputs, **more}
    # One type, so that only the load differs.
    pool = {"kind": "existing", "selector": {"pool": "gpu"}, "owned": {"g6e.xlarge": 50}}
    return chat(stack(models__chat__traffic=traffic, gpu_pool=pool))


def test_a_mean_alone_is_the_distribution_of_the_public_trace() -> None:
    assert lengths(800) == lengths({"mean": 800})
    assert lengths(800).requests_per_second == pytest.approx(
        lengths({"mean": 800, "variation": 1.3108}).requests_per_second, rel=1e-3
    )


def test_the_same_mean_with_a_longer_tail_is_slower() -> None:
    narrow, wide = lengths({"mean": 800, "variation": 0.3}), lengths({"mean": 800, "variation": 1.5})
    assert narrow.ttft_ms < wide.ttft_ms / 1.2
    assert narrow.requests_per_second > wide.requests_per_second


def test_quantiles_are_taken_as_they_are_stated() -> None:
    short, long = lengths({"p50": 300, "p90": 600}), lengths({"p50": 300, "p90": 3000, "p99": 6000})
    assert short.requests_per_second > long.requests_per_second
    answers = lengths(800, {"p50": 50, "p99": 400}), lengths(800, {"p50": 400, "p99": 3200})
    assert answers[0].requests_per_second > 2 * answers[1].requests_per_second


def test_a_common_prefix_needs_no_prefill() -> None:
    assert lengths(2000, prefix_share=0.8).ttft_ms < lengths(2000).ttft_ms
    assert lengths(2000, prefix_share=0.8).requests_per_second > lengths(2000).requests_per_second


@pytest.mark.parametrize(
    ("traffic", "words"),
    [
        ({"requests_per_second": 2, "input_tokens": 800}, "output_tokens missing"),
        ({"input_tokens": 800, "output_tokens": 200}, "requests_per_second missing"),
        ({"input_tokens": {"mean": 800, "p50": 4}}, "needs a mean or quantiles"),
        ({"input_tokens": {"p50": 400}}, "one quantile says nothing of the spread"),
        ({"input_tokens": {"p50": 400, "p90": 100}}, "must not decrease: 400, 100"),
        ({"input_tokens": {"p50": 400, "p90": 900, "variation": 1}}, "variation goes with mean"),
        ({"input_tokens": "many"}, "valid integer"),
        ({"input_tokens": {"meen": 800}}, "did you mean `mean`?"),
        ({"requests_per_second": 2, "history": {"file": "a.csv"}}, "exclude each other"),
        ({"history": {"file": "a.csv"}, "input_tokens": 5}, "both, or neither"),
        ({"history": {"file": "a.csv", "quantile": 1}}, "less than 1"),
        ({"history": {"file": "a.csv", "start": "Monday"}}, "ISO 8601"),
        ({"history": {}}, "`file` is missing"),
    ],
)
def test_a_load_that_makes_no_sense_is_one_fault(traffic: dict[str, Any], words: str) -> None:
    with pytest.raises(UserFault) as caught:
        parse(stack(models__chat__traffic=traffic), where="P")
    assert [words in str(fault) for fault in caught.value.faults].count(True) == 1
    assert len(caught.value.faults) == 1


def test_a_model_from_its_config_is_sized_and_its_weights_are_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    raw = stack(models__chat__source="acme/chat-7b", models__chat__config="config.json")
    sized, (model,) = chat(raw, tmp_path), planned(raw, tmp_path).models
    assert (sized.instance_type, sized.precision) == (model.instance_type, "bf16")
    # 7.6 billion parameters in two bytes each.
    assert 14 <= model.weights_gib <= 16
    with pytest.raises(UserFault, match=r"config: \./config\.json"):
        chat(stack(models__chat__source="acme/chat-7b"))


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read as JSON"), ("[]", "is no JSON object"), ("{}", "lacks num_hidden")]
)
def test_a_wrong_config_is_one_fault(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserFault, match=words) as caught:
        planned(stack(models__chat__source="acme/chat-7b", models__chat__config="config.json"), tmp_path)
    assert len(caught.value.faults) == 1


def test_a_changed_config_makes_the_lock_stale(tmp_path: Path) -> None:
    from planner.lock import parse_lock

    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    raw = stack(environment="staging", models__chat__source="acme/chat-7b", models__chat__config="config.json")
    settings = parse(raw, where="P")
    made = decide(settings, with_own_rows(load(), settings, where="P", folder=tmp_path), where="P", folder=tmp_path)
    lock = parse_lock({"sizing": made.model_dump(mode="json")}, where="locks/dev.json")
    assert make_plan(settings, stack="dev", lock=lock, folder=tmp_path).models
    path.write_text(json.dumps({**CONFIG, "num_hidden_layers": 32}), encoding="utf-8")
    with pytest.raises(UserFault, match="models of the catalogue have changed"):
        make_plan(settings, stack="dev", lock=lock, folder=tmp_path)


def odd() -> dict[str, Any]:
    pool = {"kind": "existing", "selector": {"pool": "gpu"}, "owned": {"g5.12xlarge": 2}}
    slow = {"ttft_ms": 4000, "tpot_ms": 200}
    return stack(
        models__chat__source="acme/odd-14b", models__chat__slo=slow, models__chat__context_tokens=4096,
        catalog={"models": [ODD]}, gpu_pool=pool,
    )  # fmt: skip


def test_stages_inside_a_node_are_chosen_where_heads_do_not_divide_and_deployed() -> None:
    sized = chat(odd())
    assert (sized.tensor_parallel, sized.pipeline_parallel, sized.gpus) == (1, 2, 2)
    assert "in 2 stages" in sized.chosen and sized.certainty == "roofline only"
    (model,) = planned(odd()).models
    assert (model.gpus, model.tensor_parallel, model.pipeline_parallel) == (2, 1, 2)
    (server,) = by_name(odd())["Deployment", "chat"]["spec"]["template"]["spec"]["containers"]
    assert {"--tensor-parallel-size=1", "--pipeline-parallel-size=2"} <= set(server["args"])
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "2"


def test_stated_stages_must_divide_the_gpus() -> None:
    hardware = {"instance_type": "g6.12xlarge", "gpus": 4, "pipeline_parallel": 2}
    (model,) = planned(stack(models__chat__hardware=hardware)).models
    assert (model.tensor_parallel, model.pipeline_parallel) == (2, 2)
    with pytest.raises(UserFault, match="4 GPUs do not divide into 3 stages"):
        parse(stack(models__chat__hardware={**hardware, "pipeline_parallel": 3}), where="P")


def test_a_model_beyond_one_node_is_refused_with_the_nodes_that_it_would_take() -> None:
    huge = {**ODD, "id": "acme/huge", "parameters_b": 1500, "layers": 160, "weight_gib": 2800, "heads": 64,
            "kv_heads": 8}  # fmt: skip
    raw = stack(models__chat__source="acme/huge", catalog={"models": [huge]})
    with pytest.raises(UserFault) as caught:
        chat(raw)
    assert "one replica would span 2 nodes" in str(caught.value)


def test_what_a_machine_without_a_gpu_would_do_is_said_and_not_chosen() -> None:
    patient = {"source": "Qwen/Qwen3-0.6B", "slo": {"ttft_ms": 10_000, "tpot_ms": 200}, "context_tokens": 4096}
    small = chat(stack(**{f"models__chat__{key}": value for key, value in patient.items()}))
    assert small.gpus and "USD/h would sustain" in small.on_cpus and "not offered" in small.on_cpus
    large = chat(BASE)
    assert "none keeps the promise" in large.on_cpus and "are promised" in large.on_cpus


def test_promises_that_only_give_way_together_are_named_together() -> None:
    with pytest.raises(UserFault) as caught:
        chat(stack(models__chat__slo={"ttft_ms": 1, "tpot_ms": 1}))
    ttft, tpot = (
        int(str(caught.value).split(f"slo.{key} 1 -> ")[1].split(" ")[0]) for key in ("ttft_ms", "tpot_ms")
    )
    assert " with models.chat.slo.tpot_ms 1 -> " in str(caught.value)
    assert chat(stack(models__chat__slo={"ttft_ms": ttft, "tpot_ms": tpot})).tpot_ms <= tpot


def test_requests_longer_than_the_context_are_refused() -> None:
    long = {"requests_per_second": 2, "input_tokens": 800_000, "output_tokens": 200}
    with pytest.raises(UserFault, match=r"800,200 tokens on average, and the context holds 8,192"):
        chat(stack(models__chat__traffic=long))
