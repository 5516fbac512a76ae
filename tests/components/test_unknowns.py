"""At preview the engine knows no output of a provider yet; what a stack consists of must not depend on any."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmos.synth import UNKNOWN, Program, Resource
from tests.support import ROOT, stack_file, synthesised

DIGEST_REF = "registry.example/app@sha256:" + "1" * 64
REVISION = "b968826d9c46dd6066d109eabc6255188de91218"
CHAT = {"source": "Qwen/Qwen3-8B", "revision": REVISION, "hardware": {"instance_type": "g6.xlarge", "gpus": 1}}
TINY = {"source": "builtin:tiny", "engine": "llama.cpp", "context_tokens": 2048}


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A map with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


few = st.integers(1, 3)
replicas = st.one_of(few, st.builds(lambda low, more: {"min": low, "max": low + more}, few, few))
gpu_model = maybe(
    replicas=replicas,
    weights=st.just({"storage_class": "shared"}),
    token=st.just({"secret": "hub", "key": "token"}),
    autoscaling=st.just("keda"),
    pod_overrides=st.just({"priorityClassName": "high"}),
).map(lambda more: {**CHAT, **more})
application = st.builds(
    lambda image, more: {"image": image, **more},
    st.sampled_from([{"build": "./app"}, {"ref": DIGEST_REF}, {"build": "./app", "platforms": ["linux/arm64"]}]),
    maybe(
        replicas=replicas,
        model=st.sampled_from(["chat", "tiny"]),
        secrets=st.just({"API_KEYS": {"secret": "keys", "key": "keys"}}),
        endpoint=st.builds(
            lambda kind, auth: {"type": kind, "auth": auth},
            st.sampled_from(["LoadBalancer", "ClusterIP"]), st.sampled_from(["api-key", "none"]),
        ),
    ),
)  # fmt: skip


@st.composite
def stacks(draw: st.DrawFn) -> dict[str, Any]:
    """Stack files over what decides which resources there are."""
    local = draw(st.booleans())
    chat = draw(gpu_model)
    if local:
        chat.pop("autoscaling", None)
    raw: dict[str, Any] = {
        "applications": draw(st.dictionaries(st.sampled_from(["front", "back"]), application, min_size=1)),
        "models": {"chat": chat, "tiny": TINY},
        "namespace": {"name": "team", "create": draw(st.booleans())},
    }
    if local:
        return {**raw, "target": "local", "environment": "dev"}
    pool = draw(st.sampled_from([
        {"kind": "existing", "selector": {"gpu": "l4"}},
        {"kind": "karpenter", "node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}},
    ]))  # fmt: skip
    return {
        **raw, "target": "kubernetes", "context": "company", "gpu_pool": pool,
        "environment": draw(st.sampled_from(["dev", "prod"])),
        "registry": {"server": "registry.example/team", "pull_secret": "pull"},
        "observability": {"prometheus_url": "http://prometheus.monitoring:9090"},
    }  # fmt: skip


def shape(program: Program) -> list[tuple[Any, ...]]:
    """What the engine decides by: identity, order and options of every resource."""
    return [(r.urn, r.type, r.parent, r.dependencies, sorted(r.options.items())) for r in program.resources]


def same_but_unknown(known: Any, preview: Any) -> bool:
    """Whether the preview's value is the known one wherever it is not unknown."""
    if preview == UNKNOWN:
        return True
    if isinstance(preview, dict) and isinstance(known, dict):
        return preview.keys() == known.keys() and all(same_but_unknown(known[k], preview[k]) for k in preview)
    if isinstance(preview, list) and isinstance(known, list):
        return len(preview) == len(known) and all(map(same_but_unknown, known, preview))
    return preview == known


def comparable(resource: Resource) -> dict[str, Any]:
    """Its inputs, without the generated API key, which is a new one in every run."""
    return {key: value for key, value in resource.inputs.items() if key != "stringData"}


def check(raw: dict[str, Any]) -> Program:
    known, preview = synthesised(raw), synthesised(raw, preview=True)
    assert shape(known) == shape(preview)
    for one, other in zip(known.resources, preview.resources, strict=True):
        assert same_but_unknown(comparable(one), comparable(other)), one.urn
    return preview


@settings(max_examples=30, deadline=None)
@given(stacks())
def test_a_preview_registers_what_the_known_run_does(raw: dict[str, Any]) -> None:
    preview = check(raw)
    built = [name for name, app in raw["applications"].items() if "build" in app["image"]]
    unknown = {r.name for r in preview.resources if r.type.endswith(":Deployment") and UNKNOWN in str(r.inputs)}
    assert unknown >= set(built), "the digest of an image that is not built yet is not known"


@pytest.mark.parametrize("name", ["dev"])
def test_the_repositorys_stacks_register_the_same_at_preview(name: str) -> None:
    check(stack_file(name))


def test_no_output_is_asked_whether_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An output is always true, so `if output:` would decide the structure, and wrongly."""

    def refuse(self: object) -> bool:
        raise AssertionError("an output was used as a condition")

    monkeypatch.setattr(pulumi.Output, "__bool__", refuse, raising=False)
    synthesised(stack_file("dev"), preview=True)


def deferred(tree: ast.AST) -> Iterator[ast.AST]:
    """Bodies of functions that are handed to ``apply``: they run only once a value is known, and not in a preview."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply":
            for argument in node.args:
                yield functions.get(argument.id, argument) if isinstance(argument, ast.Name) else argument


def made_in(body: ast.AST) -> list[str]:
    """Names of classes that are called in there."""
    names = [getattr(n.func, "attr", getattr(n.func, "id", "")) for n in ast.walk(body) if isinstance(n, ast.Call)]
    return [name for name in names if name[:1].isupper()]


def test_nothing_is_made_once_a_value_is_known() -> None:
    bad = ast.parse("def make(value):\n    Secret(value)\nkey.apply(make)\nkey.apply(lambda v: k8s.core.v1.Secret(v))")
    assert [made_in(body) for body in deferred(bad)] == [["Secret"], ["Secret"]], "the check itself sees both forms"
    for path in [*sorted((ROOT / "components").glob("*.py")), ROOT / "__main__.py"]:
        for body in deferred(ast.parse(path.read_text(encoding="utf-8"))):
            assert not made_in(body), path.name
