"""Parts of GPUs: what a card can be divided into, what fits there, and how parts are counted."""

from __future__ import annotations

from typing import Any

import pytest

from planner.catalogue import load
from planner.faults import UserFault
from planner.gpu_sharing import slice_of
from planner.plan import Plan, make_plan
from planner.settings import Sharing, parse
from tests.components.serving import served

CATALOGUE = load()
SMALL = {"source": "Qwen/Qwen2.5-0.5B-Instruct", "revision": "0" * 40, "context_tokens": 2048}


def shared(sharing: dict[str, Any], *, instance: str = "p4d.24xlarge", gpus: int = 1, **changes: Any) -> dict[str, Any]:
    hardware = {"instance_type": instance, "gpus": gpus, "sharing": sharing}
    return served(hardware=hardware, **{**SMALL, **changes})


def planned(raw: dict[str, Any]) -> Plan:
    return make_plan(parse(raw, where="f"), stack="dev", stack_file="f")


def fault(raw: dict[str, Any]) -> str:
    with pytest.raises(UserFault) as caught:
        planned(raw)
    (found,) = caught.value.faults
    return str(found)


@pytest.mark.parametrize(
    ("gpu", "profile", "per_card", "memory"),
    [
        ("a100-40gb", "1g.5gb", 7, 4.75), ("a100-40gb", "1g.10gb", 4, 9.5), ("a100-40gb", "3g.20gb", 2, 19.0),
        ("h100", "1g.10gb", 7, 9.5), ("h100", "2g.20gb", 3, 19.0), ("h200", "4g.71gb", 1, 67.45),
        ("a30", "2g.12gb", 2, 11.4), ("rtx-pro-6000", "1g.24gb", 4, 22.8), ("b300", "7g.269gb", 1, 255.55),
    ],
)  # fmt: skip
def test_published_profiles(gpu: str, profile: str, per_card: int, memory: float) -> None:
    found = slice_of(Sharing(mig=profile), CATALOGUE.gpus[gpu])
    assert found and (found.per_card, round(found.memory_gib, 2)) == (per_card, memory)


def test_no_slices_of_a_card_hold_more_than_the_card() -> None:
    for gpu in CATALOGUE.gpus.values():
        for g in range(1, 8):
            for gb in range(1, 300):
                part = slice_of(Sharing(mig=f"{g}g.{gb}gb"), gpu)
                assert part is None or part.per_card * part.memory_gib <= gpu.memory_gib, (gpu.name, g, gb)


def test_a_mig_slice_is_what_the_pod_requests() -> None:
    plan = planned(shared({"mig": "1g.10gb"}, replicas=5))
    (model,) = plan.models
    assert (model.gpu_resource, model.gpus, model.tensor_parallel) == ("nvidia.com/mig-1g.10gb", 1, 1)
    assert model.gpu_memory_utilization == 0.0, "a slice has memory of its own"
    assert plan.gpu_pool and plan.gpu_pool.max_gpus == 3, "four to a card: two cards, and one for a rollout"
    assert (plan.namespace.quota_gpus, plan.namespace.quota_slices) == (0, {"nvidia.com/mig-1g.10gb": 6})
    assert plan.usd_per_month == 0.0, "nodes that exist are paid for already"
    (decision,) = plan.decisions
    assert decision.chosen == "nvidia.com/mig-1g.10gb of a100-40gb on p4d.24xlarge"


def test_a_pod_on_a_part_asks_for_a_part_of_the_node() -> None:
    whole, part = (planned(shared_or_not).models[0] for shared_or_not in (
        served(hardware={"instance_type": "p4d.24xlarge", "gpus": 1}), shared({"mig": "1g.5gb"}),
    ))  # fmt: skip
    assert part.cpu_cores == max(1, int(96 * 0.75 / 8 / 7)) < whole.cpu_cores
    assert part.memory_gib * 7 <= whole.memory_gib


@pytest.mark.parametrize(("slices", "told"), [(2, 0.46), (4, 0.23), (3, 0.306)])
def test_a_time_slice_is_told_its_share_of_memory(slices: int, told: float) -> None:
    (model,) = planned(shared({"time_slices": slices}, instance="g6.xlarge")).models
    assert (model.gpu_resource, model.gpu_memory_utilization) == ("nvidia.com/gpu.shared", told)
    assert slices * told <= 0.92


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (shared({"mig": "1g.11gb"}), "of p4d.24xlarge has no MIG profile 1g.11gb\n  did you mean `1g.10gb`?"),
        (shared({"mig": "1g.10gb"}, instance="g6.xlarge"), "NVIDIA L4 has no MIG"),
        (shared({"mig": "1g.5gb"}, source="Qwen/Qwen3-8B"), "Qwen3-8B does not fit on a part of NVIDIA A100 SXM4 40GB"),
        (shared({"time_slices": 8}, instance="g6.xlarge", source="Qwen/Qwen3-8B"), "not fit on a part of NVIDIA L4"),
        (shared({"mig": "1g.10gb"}, gpus=2), "parts of GPUs do not talk to each other, so 2 serve no replica"),
        (shared({"mig": "1g.10gb", "time_slices": 2}), "needs exactly one of mig and time_slices"),
        (shared({}), "needs exactly one of mig and time_slices"),
    ],
)  # fmt: skip
def test_parts_that_cannot_be_had(raw: dict[str, Any], said: str) -> None:
    assert said in fault(raw)


def test_no_node_is_made_for_a_part_of_a_gpu() -> None:
    pool = {"kind": "karpenter", "node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "x"}}
    found = fault(shared({"mig": "1g.10gb"}, stack={"gpu_pool": pool}))
    assert found.startswith("f: models.chat.hardware.sharing: ") and "gpu_pool: {kind: existing" in found


def test_a_pool_that_holds_too_few_cards() -> None:
    pool = {"kind": "existing", "selector": {"gpu": "a100"}, "max_gpus": 1}
    assert "may hold 1 GPUs, and the models need 2" in fault(
        shared({"mig": "3g.20gb"}, replicas=3, stack={"gpu_pool": pool})
    )
