"""The program's own output: any valid settings pass in dev, and the repository's stacks pass their own environments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmos.judging import judge
from llmos.packs import Finding, Pack, PackResource
from llmos.stacks import load_stack
from llmos.synth import Program
from planner.plan import awaited
from tests.support import DIGEST, ROOT, stack_file, synthesised

# What a stack may cost, and on what, is its owner's choice.
_ASIDE = ("monthly-cost", "gpu-count", "memory-total", "replica-count", "gpu-instance-types", "image-registry")
_REVISION = "b968826d9c46dd6066d109eabc6255188de91218"


@pytest.fixture(scope="module")
def dev() -> Iterator[Pack]:
    with Pack(environment="dev", preview=False, config=dict.fromkeys(_ASIDE, "disabled")) as pack:
        yield pack


def _resources(program: Program) -> list[PackResource]:
    return [
        PackResource(type=found.type, name=found.name, urn=found.urn, properties=found.properties, parent=found.parent)
        for found in program.resources
    ]


def _mandatory(findings: tuple[Finding, ...]) -> list[str]:
    return [
        f"{finding.rule}: {finding.object} {finding.path}: {finding.message}"
        for finding in findings if finding.level == "mandatory"
    ]


def _replicas(most: int) -> st.SearchStrategy[Any]:
    ranges = st.tuples(st.integers(1, most), st.integers(1, most)).map(sorted)
    return st.one_of(st.integers(1, most), ranges.map(lambda pair: {"min": pair[0], "max": pair[1]}))


_IMAGE = st.sampled_from([
    {"build": "./app"}, {"ref": f"registry.example.com/app@{DIGEST}"}, {"tag": "registry.example.com/app:1.2"},
])
_ENDPOINT = st.fixed_dictionaries({
    "port": st.sampled_from([80, 443, 8080]), "type": st.sampled_from(["LoadBalancer", "ClusterIP"]),
    "auth": st.sampled_from(["api-key", "none"]),
})
_VLLM = st.fixed_dictionaries({
    "source": st.just("Qwen/Qwen3-8B"), "revision": st.just(_REVISION), "engine": st.just("vllm"),
    "context_tokens": st.sampled_from([2048, 8192]),
    "hardware": st.sampled_from([
        {"instance_type": "g6.xlarge", "gpus": 1}, {"instance_type": "g6.12xlarge", "gpus": 4},
        {"instance_type": "g6.12xlarge", "gpus": 2},
    ]),
    "replicas": _replicas(4),
})
_TINY = st.fixed_dictionaries({
    "source": st.just("builtin:tiny"), "engine": st.just("llama.cpp"), "replicas": _replicas(3),
})


@st.composite
def _stacks(draw: st.DrawFn) -> dict[str, Any]:
    models = draw(st.dictionaries(st.sampled_from(["chat", "code", "tiny"]), st.one_of(_VLLM, _TINY), max_size=2))
    application: dict[str, Any] = {
        "image": draw(_IMAGE), "replicas": draw(_replicas(6)), "port": draw(st.sampled_from([8000, 8080])),
        "endpoint": draw(_ENDPOINT),
        "env": draw(st.dictionaries(st.sampled_from(["LOG_LEVEL", "MAX_TOKENS"]), st.just("x"))),
    }
    if models:
        application["model"] = draw(st.sampled_from(sorted(models)))
    return {"target": "local", "environment": "dev", "applications": {"assistant": application}, "models": models}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=_stacks())
def test_any_valid_settings_pass_in_dev(dev: Pack, raw: dict[str, Any]) -> None:
    assert _mandatory(dev.evaluate(_resources(synthesised(raw)))) == []


@pytest.mark.parametrize("name", sorted(path.stem.removeprefix("Pulumi.") for path in ROOT.glob("Pulumi.*.yaml")))
def test_the_repositorys_stacks_pass_their_own_environments(name: str) -> None:
    raw = stack_file(name)
    # Before its first promotion a stack has no digests, and only a preview can be asked about.
    preview = bool(awaited(load_stack(name).plan))
    program = synthesised(raw, stack=name, preview=preview)
    assert _mandatory(judge(program, environment=raw.get("environment", "dev"), preview=preview)) == []
