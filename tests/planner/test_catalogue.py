from __future__ import annotations

from datetime import date

import pytest

from planner.catalogue import load, usd_per_month
from planner.faults import UserFault
from planner.memory_weights import BYTES_PER_WEIGHT

CATALOGUE = load()


def test_every_row_names_its_source_and_day():
    for entry in [*CATALOGUE.gpus.values(), *CATALOGUE.models.values()]:
        assert entry.source
        date.fromisoformat(entry.date)
    for instance in CATALOGUE.instances.values():
        assert instance.source
        if instance.usd_per_hour is not None:
            assert instance.usd_per_hour > 0
            assert instance.price_source
            date.fromisoformat(instance.price_date)


def test_gpus_are_plausible():
    for gpu in CATALOGUE.gpus.values():
        assert 0.85 * gpu.nominal_gib < gpu.memory_gib < gpu.nominal_gib, gpu.name
        assert gpu.fp8_tflops == 0 or gpu.fp8_tflops >= 1.9 * gpu.half_tflops, gpu.name
        assert bool(gpu.fp8_tflops) == (gpu.compute_capability >= (8, 9)), gpu.name


def test_instances_name_known_gpus():
    for instance in CATALOGUE.instances.values():
        assert (instance.gpu is not None) == (instance.gpus > 0) or not instance.supported
        assert instance.gpu is None or instance.gpu in CATALOGUE.gpus


def test_published_size_agrees_with_the_parameters():
    for model in CATALOGUE.models.values():
        per_weight = model.weight_gib * 2**30 / (model.parameters_b * 1e9)
        # Quantised checkpoints keep embeddings and parts of attention in half precision.
        low, high = (0.97, 1.03) if model.precision == "bf16" else (0.9, 1.5)
        assert low < per_weight / BYTES_PER_WEIGHT[model.precision] < high, model.id


def test_architectures_are_consistent():
    for model in CATALOGUE.models.values():
        assert model.heads % model.kv_heads == 0, model.id
        assert model.active_b <= model.parameters_b, model.id
        assert model.full_layers <= model.layers, model.id
        assert (model.attention == "sliding") == (model.window_tokens > 0), model.id
        assert (model.attention == "hybrid") == (model.state_layers > 0), model.id
        assert (model.attention == "mla") == (model.kv_lora_rank > 0), model.id


@pytest.mark.parametrize("name", ["g6.xlarge", "p5.48xlarge", "g7e.2xlarge", "m7g.xlarge"])
def test_current_families_are_there_with_a_price(name: str):
    instance = CATALOGUE.instance(name)
    assert instance.supported
    assert instance.usd_per_hour


@pytest.mark.parametrize(
    "name", ["inf2.xlarge", "trn1.32xlarge", "g4ad.xlarge", "dl1.24xlarge", "p3.2xlarge", "g6f.large"]
)
def test_unsupported_accelerators_say_why(name: str):
    instance = CATALOGUE.instance(name)
    assert not instance.supported
    assert len(instance.unsupported_reason) > 20


def test_unknown_names_get_the_nearest_one():
    with pytest.raises(UserFault, match=r"did you mean `g6.xlarge`"):
        CATALOGUE.instance("g6.xlrge")
    with pytest.raises(UserFault, match="did you mean `Qwen/Qwen3-8B`"):
        CATALOGUE.model("Qwen/Qwen3-8b")


def test_a_month_has_730_hours():
    assert usd_per_month(1.0) == 730.0


def test_an_override_replaces_only_what_it_states():
    row = {"name": "g6.xlarge", "usd_per_hour": 0.5, "price_date": "2026-11-01"}
    changed = CATALOGUE.with_rows(instances=[row]).instances["g6.xlarge"]
    assert (changed.usd_per_hour, changed.price_date, changed.price_source) == (0.5, "2026-11-01", "stack file")
    assert changed.gpu == "l4"
    assert CATALOGUE.instances["g6.xlarge"].usd_per_hour == 0.8048


def test_a_price_without_a_day_is_refused():
    with pytest.raises(UserFault, match="price_date"):
        CATALOGUE.with_rows(instances=[{"name": "g6.xlarge", "usd_per_hour": 0.5}])


def test_every_fault_of_a_row_is_reported_at_once():
    row = {"name": "x1.large", "vcpu": "four", "memory_gib": 8, "gpuu": "l4"}
    with pytest.raises(UserFault) as caught:
        CATALOGUE.with_rows(instances=[row])
    text = str(caught.value)
    assert "did you mean `gpu`" in text
    assert "vcpu: `four` is not a whole number" in text


def test_a_row_must_name_a_known_gpu():
    row = {"name": "x1.large", "vcpu": 4, "memory_gib": 16, "gpu": "l40z", "gpus": 1}
    with pytest.raises(UserFault, match="did you mean `l40s`"):
        CATALOGUE.with_rows(instances=[row])


def test_prices_grow_stale_after_180_days():
    assert CATALOGUE.stale_prices(today=date(2026, 11, 23)) == ()
    assert "g6.xlarge" in CATALOGUE.stale_prices(today=date(2027, 1, 17))
    assert CATALOGUE.stale_prices(today=date(2027, 1, 17), names=["g6.xlarge"]) == ("g6.xlarge",)


def test_days_may_be_written_as_yaml_dates_and_unknown_prices_as_null():
    row = {"name": "x1.large", "vcpu": 4, "memory_gib": 16, "usd_per_hour": None, "price_date": date(2026, 11, 1)}
    added = CATALOGUE.with_rows(instances=[row]).instances["x1.large"]
    assert (added.usd_per_hour, added.price_date) == (None, "2026-11-01")


def test_a_hybrid_model_must_state_its_recurrent_layers():
    row = {"id": "acme/hybrid", "parameters_b": 7, "layers": 32, "full_layers": 8, "hidden": 4096, "heads": 32,
           "kv_heads": 8, "head_dim": 128, "attention": "hybrid", "vocabulary": 32000, "max_context_tokens": 8192,
           "weight_gib": 14, "source": "x", "date": "2026-11-01"}  # fmt: skip
    with pytest.raises(UserFault, match="state_layers, state_kib"):
        CATALOGUE.with_rows(models=[row])
