"""Pools and workloads that several tests of the allocation share."""

from __future__ import annotations

from planner.allocation import (
    Allocation,
    Application,
    Option,
    Pool,
    Problem,
    Workload,
    allocate,
    violations,
)

L4 = Pool(name="g6.xlarge", vcpu=3.9, memory_gib=14, gpus=1, gpu_type="L4", usd_per_hour=0.8, spot_usd_per_hour=0.3)
L4X4 = Pool(name="g6.12xlarge", vcpu=47, memory_gib=180, gpus=4, gpu_type="L4", usd_per_hour=4.6)
H100 = Pool(name="p5.48xlarge", vcpu=190, memory_gib=2000, gpus=8, gpu_type="H100", usd_per_hour=55.0)
CPU = Pool(name="m7i.2xlarge", vcpu=7.9, memory_gib=30, usd_per_hour=0.4)
ON_L4 = Option(name="l4", gpu_type="L4", gpus=1, vcpu=3, memory_gib=12, requests_per_second=(1.0, 0.5))
ON_H100 = Option(name="h100", gpu_type="H100", gpus=1, vcpu=8, memory_gib=60, requests_per_second=(9.0, 6.0))
CHAT = Workload(name="chat", demand=(5.0, 3.0), options=(ON_L4, ON_H100))
WEB = Application(name="web", replicas=3, vcpu=0.5, memory_gib=1)


def solved(problem: Problem, **settings: object) -> Allocation:
    result = allocate(problem, **settings)  # type: ignore[arg-type]
    assert isinstance(result, Allocation), result
    assert violations(problem, result) == []
    return result
