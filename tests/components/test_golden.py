"""The dev stack's objects and URNs, held against files that people review.

After a change that is meant: ``python3 -m llmos test -- tests/components/test_golden.py --update-golden``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components import stack
from components.endpoint import Endpoint
from llmos.objects import kubernetes_objects
from tests.components.urns import lines, moved
from tests.support import synthesised

GOLDEN = Path(__file__).parent / "golden"


def check(name: str, text: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / name
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.read_text(encoding="utf-8") == text, f"{name} differs; if that is meant: --update-golden"


@pytest.fixture(autouse=True)
def _same_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [key for key in os.environ if key.startswith("LLMOS_")]:
        monkeypatch.delenv(name)


def test_objects(dev: dict[str, Any], request: pytest.FixtureRequest) -> None:
    objects = kubernetes_objects(synthesised(dev))
    for item in objects:
        if item["kind"] == "Secret":
            assert item.pop("stringData").keys() == {"keys"}, "a random value, which no file holds"
    check("dev.yaml", yaml.safe_dump_all(objects, sort_keys=True), request)


def test_urns(dev: dict[str, Any], request: pytest.FixtureRequest) -> None:
    """A URN that changes without an alias makes Pulumi create the object again under its old name, and fail.

    ``--update-golden`` does not get around that: it adds and removes objects, and moves only what carries its alias.
    """
    program = synthesised(dev)
    golden = (GOLDEN / "dev-urns.txt").read_text(encoding="utf-8").splitlines()
    assert not moved(golden, program), "give the resource `aliases=[pulumi.Alias(...)]` of what it was"
    check("dev-urns.txt", "".join(f"{line}\n" for line in lines(program)), request)


def test_a_moved_object_is_found_unless_it_carries_its_alias(
    dev: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = lines(synthesised(dev))
    aliases: list[pulumi.Alias] = []

    class Entrance(Endpoint):
        def child(self, **more: Any) -> pulumi.ResourceOptions:
            return super().child(aliases=aliases, **more)

    monkeypatch.setattr(stack, "Endpoint", Entrance)
    found = moved(golden, synthesised(dev))
    assert {line.partition(":")[0] for line in found} == {
        "NetworkPolicy/assistant/assistant-ingress", "Service/assistant/assistant"
    }  # fmt: skip
    parent = "llmagentos:components:LlmStack$llmagentos:components:Endpoint::assistant-endpoint"
    aliases.append(pulumi.Alias(parent=f"urn:pulumi:dev::llmagentos::{parent}"))
    assert not moved(golden, synthesised(dev))


def test_synth_is_deterministic_but_for_generated_keys(dev: dict[str, Any]) -> None:
    first, second = (
        [item for item in kubernetes_objects(synthesised(dev)) if item["kind"] != "Secret"] for _ in range(2)
    )
    assert first == second
