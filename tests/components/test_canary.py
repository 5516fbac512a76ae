"""The canary of an application: what is made beside the stack, which of its selectors count it in, and its policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.judging import judge
from planner.machine import CANARIES
from tests.support import by_name, stack_file, synthesised

GOLDEN = Path(__file__).parent / "golden" / "canary.yaml"
MADE = {("Deployment", "assistant-canary"), ("NetworkPolicy", "assistant-canary-egress")}


@pytest.fixture
def asking(dev: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv(CANARIES, "assistant")
    dev["applications"]["assistant"]["canary"] = {"share": 0.4}
    return dev


def selects(selector: dict[str, str], pod: dict[str, str]) -> bool:
    return selector.items() <= pod.items()


def test_objects(asking: dict[str, Any], request: pytest.FixtureRequest) -> None:
    made = [item for key, item in by_name(asking).items() if key in MADE]
    text = yaml.safe_dump_all(made, sort_keys=True)
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(text, encoding="utf-8", newline="\n")
    assert GOLDEN.read_text(encoding="utf-8") == text, "canary.yaml differs; if that is meant: --update-golden"


def test_the_canary_is_all_that_is_added(
    dev: dict[str, Any], asking: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = by_name(asking)
    monkeypatch.delenv(CANARIES)
    usual = by_name(asking)
    assert beside.keys() - usual.keys() == MADE
    assert all(beside[key] == item for key, item in usual.items() if key[0] != "Secret")
    del asking["applications"]["assistant"]["canary"]
    without = by_name(asking)
    assert without.keys() == usual.keys()
    changed = {key for key, item in usual.items() if item != without[key] and key[0] != "Secret"}
    assert {kind for kind, _ in changed} == {"ResourceQuota"}, "room for the pods; nothing else knows of it"


def test_no_canary_without_the_setting(dev: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CANARIES, "assistant")
    assert not MADE & by_name(dev).keys()


def test_which_selectors_count_its_pods_in(asking: dict[str, Any]) -> None:
    objects = by_name(asking)
    canary, stable = objects["Deployment", "assistant-canary"], objects["Deployment", "assistant"]
    pod, other = (one["spec"]["template"]["metadata"]["labels"] for one in (canary, stable))
    assert selects(objects["Service", "assistant"]["spec"]["selector"], pod)
    assert selects(objects["PodDisruptionBudget", "assistant"]["spec"]["selector"]["matchLabels"], pod)
    for name in ("assistant-egress", "assistant-ingress", "assistant-canary-egress"):
        assert selects(objects["NetworkPolicy", name]["spec"]["podSelector"]["matchLabels"], pod)
    callers = objects["NetworkPolicy", "tiny"]["spec"]["ingress"][0]["from"]
    assert any(selects(caller["podSelector"]["matchLabels"], pod) for caller in callers)
    # The other way round nothing is shared: its Deployment has none of the others' pods.
    assert selects(canary["spec"]["selector"]["matchLabels"], pod)
    assert not selects(canary["spec"]["selector"]["matchLabels"], other)
    assert not selects(objects["NetworkPolicy", "assistant-canary-egress"]["spec"]["podSelector"]["matchLabels"], other)
    scaled = objects["HorizontalPodAutoscaler", "assistant"]["spec"]["scaleTargetRef"]
    assert scaled["name"] == "assistant" and canary["spec"]["replicas"] == 2
    assert canary["spec"]["template"]["spec"] == stable["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_policies_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = stack_file(name)
    for application in raw["applications"].values():
        application["canary"] = {}
    monkeypatch.setenv(CANARIES, " ".join(raw["applications"]))
    program = synthesised(raw, preview=True, stack=name)
    assert [one for one in program.resources if one.name.endswith("-canary")]
    assert not [row for row in judge(program, environment=name, preview=True) if row.level == "mandatory"]


def test_policies_are_applied_to_it(asking: dict[str, Any]) -> None:
    asking["applications"]["assistant"]["pod_overrides"] = {"hostNetwork": True}
    found = judge(synthesised(asking), environment="dev", preview=False)
    assert any("assistant-canary" in row.object for row in found if row.level == "mandatory")
