"""The dev stack's objects and URNs, held against files that people review.

After a change that is meant: ``python3 -m llmos test -- tests/components/test_golden.py --update-golden``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmos.objects import kubernetes_objects
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
    """A URN that changes without an alias makes Pulumi create the object again under its old name, and fail."""
    check("dev-urns.txt", "".join(f"{r.urn}\n" for r in synthesised(dev).resources), request)


def test_a_preview_registers_the_same_resources(dev: dict[str, Any]) -> None:
    full, unknown = synthesised(dev), synthesised(dev, preview=True)
    assert [r.urn for r in full.resources] == [r.urn for r in unknown.resources]


def test_synth_is_deterministic_but_for_generated_keys(dev: dict[str, Any]) -> None:
    first, second = (
        [item for item in kubernetes_objects(synthesised(dev)) if item["kind"] != "Secret"] for _ in range(2)
    )
    assert first == second
