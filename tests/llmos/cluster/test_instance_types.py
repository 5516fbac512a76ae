from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from llmos.cluster.instance_types import ZONES, to_json
from planner.catalogue import InstanceType, load

SMALL = InstanceType(name="g6.xlarge", vcpu=4, memory_gib=16, gpu="l4", gpus=1, usd_per_hour=0.8048)


def test_an_instance_type_keeps_its_price_and_resources() -> None:
    (entry,) = json.loads(to_json([SMALL]))
    assert entry["resources"] == {
        "cpu": "4", "memory": "15155Mi", "ephemeral-storage": "100Gi", "pods": "110", "nvidia.com/gpu": "1",
    }
    offers = [
        ({item["key"].rpartition("/")[2]: item["values"][0] for item in offer["Requirements"]}, offer["Price"])
        for offer in entry["offerings"]
    ]
    on_demand = [(labels["zone"], price) for labels, price in offers if labels["capacity-type"] == "on-demand"]
    assert on_demand == [(zone, 0.8048) for zone in ZONES]
    spot = [(labels["zone"], price) for labels, price in offers if labels["capacity-type"] == "spot"]
    assert [zone for zone, _ in spot] == list(ZONES) and all(0 < price < 0.8048 for _, price in spot)


def test_a_machine_without_gpus_offers_none() -> None:
    (entry,) = json.loads(to_json([replace(SMALL, gpu=None, gpus=0)]))
    assert "nvidia.com/gpu" not in entry["resources"]


def test_what_has_no_price_or_cannot_be_used_is_not_for_sale() -> None:
    unpriced = replace(SMALL, usd_per_hour=None)
    unsupported = replace(SMALL, unsupported_reason="its accelerator is not an NVIDIA GPU")
    assert json.loads(to_json([unpriced, unsupported])) == []


@given(st.permutations(list(load().instances.values())[:12]))
def test_the_file_does_not_depend_on_the_order_of_the_catalogue(entries: list[InstanceType]) -> None:
    assert to_json(entries) == to_json(sorted(entries, key=lambda entry: entry.name))


def test_the_shipped_catalogue_is_offered_at_its_prices() -> None:
    entries = json.loads(to_json(load().instances.values()))
    offered = {entry["name"]: entry["offerings"][0]["Price"] for entry in entries}
    priced = {name: entry.usd_per_hour for name, entry in load().instances.items() if entry.supported}
    assert offered == {name: price for name, price in priced.items() if price is not None}
    assert len(offered) > 20
