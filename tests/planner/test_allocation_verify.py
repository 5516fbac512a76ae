"""The independent check finds what is wrong: a plan that fits is spoilt in one way at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from planner.allocation import (
    Allocation,
    Application,
    Cap,
    Node,
    Option,
    Pods,
    Pool,
    Problem,
    SpotRule,
    Spread,
    Workload,
    allocate,
    violations,
)

GPU = Pool(
    name="gpu", vcpu=8, memory_gib=32, gpus=2, gpu_type="L4", usd_per_hour=1.0, spot_usd_per_hour=0.5, zones=("a", "b"),
    owned_nodes=1, accepts_cpu_pods=False,
)  # fmt: skip
CPU = Pool(name="cpu", vcpu=8, memory_gib=32, usd_per_hour=0.2, zones=("a", "b"))
OPTION = Option(name="o", gpu_type="L4", gpus=1, vcpu=2, memory_gib=8, requests_per_second=(1.0, 2.0))
CHAT = Workload(
    name="chat", demand=(3.0, 2.0), options=(OPTION,), max_replicas=6, spot=SpotRule(floor_replicas=2),
    spread=Spread(max_per_node=2, min_zones=2),
)  # fmt: skip
PROBLEM = Problem(
    pools=(GPU, CPU),
    workloads=(CHAT,),
    applications=(Application(name="web", replicas=2, vcpu=1, memory_gib=1),),
    caps=(Cap(name="gpus", unit="gpus", limit=8),),
)

WEB_POD = Pods(workload="web", option="pod", count=1)
CHAT_POD = Pods(workload="chat", option="o", count=1)


@pytest.fixture(scope="module")
def plan() -> Allocation:
    result = allocate(PROBLEM)
    assert isinstance(result, Allocation)
    assert violations(PROBLEM, result) == []
    return result


def changed_node(plan: Allocation, pool: str, change: Callable[[Node], Node]) -> Allocation:
    index = next(i for i, node in enumerate(plan.nodes) if node.pool == pool)
    return replace(plan, nodes=(*plan.nodes[:index], change(plan.nodes[index]), *plan.nodes[index + 1 :]))


def more_pods(node: Node) -> Node:
    return replace(node, pods=tuple(replace(pods, count=pods.count + 3) for pods in node.pods))


def half_served(plan: Allocation) -> Allocation:
    return replace(plan, choices=tuple(replace(c, shares=(0.5,) * len(c.shares)) for c in plan.choices))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda plan: replace(plan, usd_per_hour=plan.usd_per_hour - 0.1), "the allocation says"),
        (lambda plan: replace(plan, bound=plan.objective + 1), "below its bound"),
        (lambda plan: replace(plan, nodes=plan.nodes[1:]), "replicas"),
        (lambda plan: changed_node(plan, "gpu", more_pods), "GPUs, its pods ask for"),
        (lambda plan: changed_node(plan, "gpu", more_pods), "pods on the node, 2 are allowed"),
        (lambda plan: changed_node(plan, "gpu", lambda node: replace(node, usd_per_hour=0.01)), "its pool says"),
        (lambda plan: changed_node(plan, "gpu", lambda node: replace(node, zone="z")), "zone z"),
        (lambda plan: replace(plan, nodes=tuple(replace(n, zone="a") for n in plan.nodes)), "do not cover 2 zones"),
        (lambda plan: replace(plan, nodes=plan.nodes * 3), "are used, 8 allowed"),
        (lambda plan: replace(plan, nodes=plan.nodes * 2), "owned nodes of gpu are used, 1 exist"),
        (
            lambda plan: replace(plan, nodes=tuple(replace(n, purchase="spot", usd_per_hour=0.5) for n in plan.nodes)),
            "not on spot, the floor is higher",
        ),
        (
            lambda plan: replace(plan, nodes=tuple(replace(n, purchase="spot") for n in plan.nodes)),
            "web must not run on spot",
        ),
        (
            lambda plan: changed_node(plan, "gpu", lambda node: replace(node, pods=(WEB_POD,))),
            "kept for pods with GPUs",
        ),
        (
            lambda plan: changed_node(plan, "cpu", lambda node: replace(node, pods=(CHAT_POD,))),
            "was sized for L4",
        ),
        (
            half_served,
            "of bucket 0 is served",
        ),
        (lambda plan: replace(plan, choices=tuple(replace(c, replicas=9) for c in plan.choices)), "9 replicas of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(plan: Allocation, spoil: Callable[[Allocation], Allocation], message: str) -> None:
    assert any(message in violation for violation in violations(PROBLEM, spoil(plan)))


def test_overload_and_limits_of_the_input_are_found(plan: Allocation) -> None:
    busier = replace(PROBLEM, workloads=(replace(CHAT, demand=(30.0, 2.0)),))
    assert any("carries the load" in violation for violation in violations(busier, plan))
    blind = replace(OPTION, requests_per_second=(1.0, 0.0))
    assert any(
        "carries the load" in v
        for v in violations(replace(PROBLEM, workloads=(replace(CHAT, options=(blind,)),)), plan)
    )
    fewer = replace(PROBLEM, workloads=(replace(CHAT, min_replicas=0, max_replicas=3),))
    assert any("allowed are 0 to 3" in violation for violation in violations(fewer, plan))
    elsewhere = replace(PROBLEM, workloads=(replace(CHAT, options=(replace(OPTION, pools=("cpu",)),)),))
    assert any("may only use cpu" in violation for violation in violations(elsewhere, plan))
    stages = replace(PROBLEM, workloads=(replace(CHAT, options=(replace(OPTION, shards=3),)),))
    assert any("do not make whole replicas" in violation for violation in violations(stages, plan))
