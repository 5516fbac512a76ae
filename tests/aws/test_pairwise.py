"""Every pair of settings occurs in some stack, and every stack passes the checks of the examples."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from llmos.judging import judge
from llmos.synth import Program
from tests.aws.calls import CALLS, calls_of
from tests.aws.golden_files import GOLDEN, check
from tests.aws.models import problems
from tests.aws.stacks import STACKS, faults, program, raw, variant

Choices = Mapping[str, Mapping[str, dict[str, Any]]]
ENTRY = {"host": "assistant.example.com", "zone_id": "Z0123456789EXAMPLE"}
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"

WORKLOADS: Choices = {
    "environment": {"dev": {}, "prod": {"environment": "prod"}},
    "cluster": {
        "name": {}, "stack": {"aws": {"cluster": {"name": "llmagentos", "stack": "acme/llmagentos/cluster"}}},
        "foreign": {"aws": {"cluster": {"name": "c", "node_role": "r", "subnet_tags": {"a": "b"},
                                        "security_group_tags": {"c": "d"}}}},
    },
    "registry": {"ecr": {}, "pullers": {"aws": {"registry": {"pullers": ["210987654321"], "untagged_days": 3}}},
                 "own": {"registry": {"server": "ghcr.io/acme", "pull_secret": "regcred"}}},
    "pool": {
        "spot": {}, "on demand": {"gpu_pool": {"spot": False}},
        "al2023": {"aws": {"gpu_nodes": {"image": "al2023", "image_version": "v20260801", "on_demand_gpus": 0}}},
        "groups": {"gpu_pool": {"kind": "managed-node-group", "spot": False},
                   "aws": {"gpu_nodes": {"image": "al2023"}}},
        "auto mode": {"gpu_pool": {"kind": "auto-mode"}},
        "existing": {"gpu_pool": {"kind": "existing", "spot": False, "selector": {"gpu": "l4"}}},
    },
    "reservation": {"none": {}, "one": {"aws": {"gpu_nodes": {
        "capacity_reservations": ["cr-0123456789abcdef0"], "zones": ["us-east-1a"]}}}},
    "weights": {"s3": {}, "hub": {"aws": {"weights": {"source": "hub"}}},
                "shared": {"models": {"chat": {"weights": {"storage_class": "efs", "download": "job"}}}}},
    "entry": {
        "none": {}, "internal": {"aws": {"entries": {"assistant": {**ENTRY, "sources": ["10.0.0.0/8"]}}}},
        "internal alb": {"aws": {"entries": {"assistant": {**ENTRY, "kind": "alb"}}}},
        "internal gateway": {"aws": {"entries": {"assistant": {**ENTRY, "kind": "gateway"}}}},
        "public": {"aws": {"entries": {"assistant": {**ENTRY, "public": True}}}},
        "certificate": {"aws": {"entries": {"assistant": {**ENTRY, "public": True, "certificate": CERTIFICATE}}}},
    },
    "watch": {"operator": {}, "annotations": {"observability": {"scrape": {"by": "service-annotations"}}},
              "mail": {"aws": {"alerts": {"emails": ["a@example.com", "b@example.com"]}}}},
    "budget": {"stated": {}, "none": {"budget": {"usd_per_month": None}}},
}  # fmt: skip
CLUSTERS: Choices = {
    "environment": {"prod": {}, "dev": {"environment": "dev"}},
    "endpoint": {"ranges": {}, "private": {"cluster": {"endpoint": {"public_cidrs": []}}}},
    "vpc": {
        "made": {}, "nat in each zone": {"cluster": {"vpc": {"nat": "per-zone"}}},
        "two zones": {"cluster": {"vpc": {"zones": ["us-east-1b", "us-east-1d"], "cidr": "172.16.0.0/20"}}},
        "given": {"cluster": {"vpc": {"id": "vpc-0123456789abcdef0", "cidr": None, "nat": None, "private_subnets": [
            "subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]}}},
    },
    "monitoring": {"helm": {}, "managed": {"cluster": {"monitoring": {"kind": "managed"}}},
                   "none": {"cluster": {"monitoring": {"kind": "none"}}}},
    "caches": {
        "default": {}, "none": {"cluster": {"pull_through": {"registries": []}}},
        "docker hub": {"cluster": {"pull_through": {
            "registries": ["docker-hub", "quay"],
            "docker_hub_secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/hub-a1b2c3",
        }}},
    },
    "nodes": {"on demand": {}, "spot": {"cluster": {"general_nodes": {"spot": True, "cpu_cores": 64}}}},
    "compute": {"karpenter": {}, "auto mode": {"cluster": {"compute": "auto-mode"}}},
    "addons": {"chosen by EKS": {}, "stated": {"cluster": {"addon_versions": {"metrics-server": "v0.8.0-eksbuild.2"}}}},
    "mail": {"some": {}, "none": {"aws": {"alerts": {"emails": []}}}},
    "role": {"own": {}, "assumed": {"aws": {"role": "arn:aws:iam::123456789012:role/llmagentos-deployer"}}},
}  # fmt: skip


def covering(choices: Choices) -> list[dict[str, str]]:
    """Few rows in which every pair of values of two settings occurs, found greedily and always the same."""
    names = sorted(choices)
    open_pairs = {
        ((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in choices[a] for y in choices[b]
    }
    rows = []
    while open_pairs:
        row = dict(min(open_pairs))
        for name in names:
            if name not in row:
                row[name] = max(sorted(choices[name]), key=lambda value: _gain(row, name, value, open_pairs))
        rows.append(row)
        open_pairs -= {((a, row[a]), (b, row[b])) for a, b in itertools.combinations(names, 2)}
    return rows


def _gain(row: Mapping[str, str], name: str, value: str, open_pairs: set[Any]) -> int:
    pairs = (tuple(sorted(((other, chosen), (name, value)))) for other, chosen in row.items())
    return sum(pair in open_pairs for pair in pairs)


def settings(base: str, choices: Choices, row: Mapping[str, str]) -> dict[str, Any]:
    found = raw(base)
    for name in sorted(row):
        found = variant(found, choices[name][row[name]])
    return _without_nulls(found)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


ROWS = [("aws-dev", WORKLOADS, row) for row in covering(WORKLOADS)]
ROWS += [("cluster", CLUSTERS, row) for row in covering(CLUSTERS)]


@pytest.mark.parametrize("choices", [WORKLOADS, CLUSTERS], ids=["workloads", "clusters"])
def test_every_pair_occurs(choices: Choices) -> None:
    rows = covering(choices)
    for (a, xs), (b, ys) in itertools.combinations(choices.items(), 2):
        for x, y in itertools.product(xs, ys):
            assert any(row[a] == x and row[b] == y for row in rows)
    assert len(rows) <= 40


def differences(found: Program, base: Program, row: Mapping[str, str]) -> str:
    """What a combination has beside its example, and a digest of what AWS is asked for: enough for a reviewer to see
    that a change of one setting changed what it should."""
    mine, theirs = ({f"{r.urn.split('::', 2)[2]}" for r in program.resources} for program in (found, base))
    own = ("aws:", "kubernetes:eks.amazonaws.com", "kubernetes:gateway", "kubernetes:karpenter")
    asked = [[r.urn, r.inputs] for r in found.resources if r.type.startswith(own)]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    lines = [", ".join(f"{name}: {row[name]}" for name in sorted(row)), f"asked of AWS: {digest}"]
    lines += [f"- {urn}" for urn in sorted(theirs - mine)] + [f"+ {urn}" for urn in sorted(mine - theirs)]
    return "\n".join(lines) + "\n"


def identity(base: str, row: Mapping[str, str]) -> str:
    return f"{base}-{'-'.join(row[name] for name in sorted(row))}".replace(" ", "_")


@pytest.mark.parametrize(("base", "choices", "row"), ROWS, ids=[identity(base, row) for base, _, row in ROWS])
def test_settings_in_combination(
    base: str, choices: Choices, row: dict[str, str], programs: Callable[[str], Program],
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    wanted = settings(base, choices, row)
    assert faults(wanted) == []
    found = program(wanted, base)
    assert [r.urn for r in program(wanted, base, preview=True).resources] == [r.urn for r in found.resources]
    check(f"pairwise/{identity(base, row)}.txt", differences(found, programs(base), row), request)
    for resource in found.resources:
        if resource.type.startswith("aws:"):
            for call in calls_of(resource.type.removeprefix("aws:"), resource.inputs):
                assert problems(call) == [], resource.name
    # What a stack costs, and that servers of a stack without S3 ask the hub, is its owner's choice.
    aside = {"model-hub", "monthly-cost", "budget-warning"}
    rows = judge(found, environment=wanted["environment"], preview=False)
    assert [f"{r.rule}: {r.object} {r.path}" for r in rows if r.level == "mandatory" and r.rule not in aside] == []


def test_no_golden_file_is_of_a_combination_that_is_gone() -> None:
    kept = {file.stem for file in (GOLDEN / "pairwise").glob("*.txt")}
    assert kept == {identity(base, row) for base, _, row in ROWS}


def test_the_table_of_calls_knows_the_types_of_all_these_and_no_other() -> None:
    made = {
        resource.type.removeprefix("aws:")
        for stack, choices, row in ROWS
        for resource in program(settings(stack, choices, row), stack).resources
        if resource.type.startswith("aws:")
    }
    assert made == CALLS.keys()
    assert {stack for stack, _, _ in ROWS} <= set(STACKS)
