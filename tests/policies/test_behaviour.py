"""What holds for all rules: failures stay their own, values stay unprinted, files stay in step."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from llmos.checks.prices import PRICES, price_file
from policies.document import DOCUMENT, document
from policies.rules import RULES
from policies.rules._evaluate import evaluate
from policies.rules._model import KubeObject, Stack
from policies.rules._node import UNKNOWN
from policies.rules._rule import Context, Rule, Violation, each_object
from tests.policies.support import BY_ID, DELETE, ask, edited, good_stack, resource

CONFIG = Path(__file__).parents[2] / "policies" / "config"
_NAMES = {"kind", "apiVersion", "name", "namespace", "type", "operator"}
_SELECTORS = {"labels", "matchLabels", "selector", "nodeSelector", "podSelector"}


def _breaks(found: KubeObject, context: Context) -> Iterable[Violation]:
    raise RuntimeError("the secret is hunter2")


def _works(found: KubeObject, context: Context) -> Iterable[Violation]:
    yield Violation(path="spec", message="wrong")


def test_a_rule_that_raises_is_its_own_finding() -> None:
    rule = Rule(
        id="x", title="t", why="w", fix="f", sources=("s",), checks=(_breaks, _works), cells=each_object("Service")
    )
    found = resource("Service/app", good_stack()["Service/app"])
    outcome = evaluate(rule, resource=found, stack=Stack(resources=(found,)), config={})
    first, second = (text for text, _ in outcome.reports)
    assert "the rule itself failed (RuntimeError" in first and "hunter2" not in first
    assert second.startswith("wrong")


@pytest.mark.parametrize(
    ("rule_id", "name", "path"),
    [
        ("ecr-scan-on-push", "images", "imageScanningConfiguration"),
        ("pod-security-restricted", "Deployment/app", "spec.template.spec.securityContext.seccompProfile"),
        (
            "pod-security-restricted", "Deployment/app",
            "spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation",
        ),
    ],
)
def test_remediation_mends_what_is_missing_and_nothing_else(rule_id: str, name: str, path: str) -> None:
    remediate = BY_ID[rule_id].remediate
    assert remediate is not None
    good = good_stack()[name]
    broken = edited((name, path, DELETE))[name]
    assert broken != good
    assert remediate(resource(name, broken), broken.get("properties", broken)) is not None
    assert broken == good
    assert remediate(resource(name, good), good.get("properties", good)) is None
    assert remediate(resource("other", {"type": "aws:x:Y", "properties": {}}), {}) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_values_are_never_printed(rule: Rule) -> None:
    """Every text that is not a name or selector is replaced by a canary, each in turn of two forms that rules react
    to."""
    for canary in ("canary7", "sk-canary7canary7canary7canary7"):
        stack = {name: _poisoned(document, canary) for name, document in good_stack().items()}
        found = ask(rule.id, stack, _strict(rule))
        assert not [text for _, _, text in found.rows if "canary7" in text]


def _poisoned(value: Any, canary: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: v if k in _NAMES or k in _SELECTORS else _poisoned(v, canary, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_poisoned(element, canary, key) for element in value]
    return canary if isinstance(value, str) else value


def _strict(rule: Rule) -> dict[str, Any]:
    limits = {key: 0 for key in ("usd_per_month", "gpus", "memory_gib", "replicas") if key in rule.options}
    return limits | ({"registries": ["x"]} if "registries" in rule.options else {})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_an_unknown_resource_breaks_no_rule(rule: Rule) -> None:
    """Whatever is unknown, a rule neither raises nor takes it for a violation of anything but a budget."""
    stack = good_stack()
    for name in stack:
        for changed in _each_field_unknown(stack[name]):
            found = ask(rule.id, {**stack, name: changed} if rule.stack_cells else {name: changed})
            assert not [text for _, _, text in found.rows if "the rule itself failed" in text]


def _each_field_unknown(document: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for holder in ("spec", "properties"):
        for key in document.get(holder, {}) if isinstance(document.get(holder), dict) else ():
            changed = copy.deepcopy(document)
            changed[holder][key] = UNKNOWN
            yield changed
        if holder in document:
            yield {**document, holder: UNKNOWN} if holder == "spec" else document


def test_documentation_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run python3 -m policies.document"


def test_prices_are_current() -> None:
    assert PRICES.read_text(encoding="utf-8") == price_file(), "run python3 -m llmos.checks.prices"


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_environment_files_agree(environment: str) -> None:
    """prod is the pack's initial configuration, so another file must set all that prod sets; and the warning must know
    the limits it warns of."""
    settings = json.loads((CONFIG / f"{environment}.json").read_text(encoding="utf-8"))
    strictest = json.loads((CONFIG / "prod.json").read_text(encoding="utf-8"))
    assert strictest.keys() <= settings.keys() <= {rule.id for rule in RULES}
    warning = settings["budget-warning"]
    for rule in ("monthly-cost", "gpu-count", "memory-total", "replica-count"):
        assert settings[rule].items() <= warning.items()
        assert settings[rule]["environment"] == environment


def test_every_rule_names_a_source() -> None:
    assert all(source.startswith("https://") for rule in RULES for source in rule.sources)
    assert len({rule.id for rule in RULES}) == len(RULES)
