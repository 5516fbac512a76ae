"""From settings to the plan: what is decided, and that it is the same every time."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.faults import UserFault
from planner.lock import Lock, parse_lock
from planner.plan import Plan, awaited, make_plan
from planner.settings import parse

BASE: dict[str, Any] = yaml.safe_load("""
    target: local
    applications: {assistant: {image: {build: ./app}, model: chat, replicas: {min: 3, max: 10}}}
    models:
      chat:
        source: Qwen/Qwen3-8B
        revision: b968826d9c46dd6066d109eabc6255188de91218
        hardware: {instance_type: g6.xlarge}
        replicas: {min: 2, max: 3}
""")


def plan(raw: dict[str, Any] | None = None, *, lock: Lock | None = None) -> Plan:
    return make_plan(parse(raw or BASE, where="Pulumi.dev.yaml"), stack="dev", lock=lock)


def changed(path: str, value: Any) -> dict[str, Any]:
    raw = json.loads(json.dumps(BASE))
    *parents, last = path.split(".")
    target = raw
    for part in parents:
        target = target.setdefault(part, {})
    target[last] = value
    return raw


def fault(raw: dict[str, Any], **more: Any) -> str:
    with pytest.raises(UserFault) as caught:
        plan(raw, **more)
    return str(caught.value)


def test_the_same_input_gives_the_same_bytes_in_any_order_of_keys() -> None:
    reordered = {key: BASE[key] for key in reversed(BASE)}
    assert plan().to_json() == plan(reordered).to_json()
    assert json.loads(plan().to_json())["schema"] == 1


def test_hardware_becomes_parallelism_nodes_and_cost() -> None:
    made = plan()
    (model,), (cost,) = made.models, made.costs
    assert (model.gpus, model.tensor_parallel, model.instance_type) == (1, 1, "g6.xlarge")
    assert (cost.nodes_min, cost.nodes_max) == (2, 2), "autoscaling is fixed, so the maximum is never reached"
    assert made.usd_per_month == pytest.approx(2 * 730 * (cost.usd_per_hour or 0), abs=0.01)
    assert cost.price_source and cost.price_date


def test_a_decision_names_what_was_chosen_why_and_what_not() -> None:
    (decision,) = plan().decisions
    assert decision.subject == "models.chat.hardware"
    assert "g6.xlarge" in decision.chosen and decision.binding == "stated in the stack file"
    assert decision.runner_up and all(item.reason for item in decision.rejected)


def test_a_new_replica_starts_first_only_where_a_gpu_is_spare() -> None:
    assert plan(changed("gpu_pool", {"max_gpus": 3})).models[0].surge == 1
    assert plan(changed("gpu_pool", {"max_gpus": 2})).models[0].surge == 0


def test_a_pool_that_is_too_small_is_refused_with_the_smallest_that_fits() -> None:
    message = fault(changed("gpu_pool", {"max_gpus": 1}))
    assert "may hold 1 GPUs, and the models need 2" in message and "smallest that fits: 2" in message


@pytest.mark.parametrize(
    ("hardware", "words"),
    [
        ({"instance_type": "g6.xlarg"}, "did you mean `g6.xlarge`?"),
        ({"instance_type": "g6.xlarge", "gpus": 4}, "nearest with 4 or more of the same GPU: g6."),
        ({"instance_type": "m7i.large"}, "has no GPU"),
        ({"instance_type": "inf2.xlarge"}, "cannot be used"),
    ],
)
def test_hardware_that_cannot_be_had_is_refused(hardware: dict[str, Any], words: str) -> None:
    assert words in fault(changed("models.chat.hardware", hardware))


def test_an_image_from_the_lock_needs_a_promotion() -> None:
    raw = changed("applications.assistant.image", {"from": "lock"})
    (missing,) = awaited(plan(raw))
    assert "promote <from> dev" in missing.fix and "locks/dev.json" in missing.what
    assert plan(raw).image("assistant").awaited
    ref = "registry.example/app@sha256:" + "a" * 64
    lock = parse_lock({"release": {"images": {"assistant": ref}}}, where="locks/dev.json")
    made = plan(raw, lock=lock)
    assert made.image("assistant").ref == ref and not awaited(made)


def test_a_lock_wins_over_the_revision_of_the_stack_file() -> None:
    lock = parse_lock({"release": {"revisions": {"chat": "f" * 40}}}, where="locks/dev.json")
    assert plan(lock=lock).models[0].revision == "f" * 40


def test_a_damaged_lock_is_a_fault_of_its_own_place() -> None:
    with pytest.raises(UserFault, match=r"locks/dev\.json: release\.images\.a"):
        parse_lock({"release": {"images": {"a": "app:latest"}}}, where="locks/dev.json")


def test_keys_are_generated_only_where_none_are_named() -> None:
    assert plan().applications[0].generated_key_secret == "assistant-api-keys"
    named = changed("applications.assistant.secrets", {"API_KEYS": {"secret": "mine", "key": "k"}})
    assert plan(named).applications[0].generated_key_secret == ""
    assert plan(changed("applications.assistant.endpoint", {"auth": "none"})).applications[0].secrets == {}


def test_drain_is_as_long_as_the_longest_stream() -> None:
    assert plan().applications[0].stream_seconds == 410, "8192 tokens at 50 ms"
    assert plan(changed("models.chat.context_tokens", 131072)).applications[0].stream_seconds == 600


def test_applications_of_one_folder_share_one_image() -> None:
    raw = changed("applications.second", {"image": {"build": "./app"}})
    made = plan(raw)
    assert {application.image for application in made.applications} == {"assistant"}
    assert [image.name for image in made.images] == ["assistant", "vllm"]


def test_a_price_that_is_unknown_makes_the_total_unknown() -> None:
    from planner.plan.cost import total_per_month

    assert total_per_month([1.0, None]) is None
    assert total_per_month([]) == 0


@settings(max_examples=30, deadline=None)
@given(replicas=st.integers(1, 20), more=st.integers(1, 20))
def test_cost_rises_with_replicas(replicas: int, more: int) -> None:
    def cost(count: int) -> float:
        return plan(changed("models.chat.replicas", count)).usd_per_month or 0

    assert cost(replicas) < cost(replicas + more)


@settings(max_examples=40, deadline=None)
@given(
    apps=st.integers(1, 50), models=st.integers(1, 6), spare=st.integers(0, 8),
    memory=st.sampled_from(["128Mi", "1Gi", "3500M"]),
)  # fmt: skip
def test_the_quota_admits_the_stack_at_its_maximum_and_one_rollout(
    apps: int, models: int, spare: int, memory: str
) -> None:
    application = {"image": {"build": "./app"}, "replicas": apps, "resources": {"memory": memory}}
    raw = changed("applications.assistant", application)
    raw["models"]["chat"]["replicas"] = models
    raw["gpu_pool"] = {"max_gpus": models + spare}
    made = plan(raw)
    (application,), (model,), space = made.applications, made.models, made.namespace
    assert space.quota_pods >= apps + 1 + models + model.surge
    assert space.quota_gpus == models + model.surge <= made.gpu_pool.max_gpus  # type: ignore[union-attr]
    assert space.quota_memory_gib >= (apps + 1) * application.memory_gib + (models + model.surge) * model.memory_gib
