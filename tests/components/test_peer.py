"""The dev stack by hand, which `benchmarks.preview` compares with, has the objects that the dev stack has now."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import preview
from benchmarks._peer import DIGEST, peer_text
from llmos.synth import synth


def test_the_peer_is_the_dev_stack_by_hand(dev: dict[str, Any], request: pytest.FixtureRequest) -> None:
    text = peer_text(synth(dev, build=lambda name, inputs: DIGEST))
    if request.config.getoption("--update-golden"):
        preview.PEER.write_text(text, encoding="utf-8", newline="\n")
    assert preview.PEER.read_text(encoding="utf-8") == text, "it differs; if that is meant: --update-golden"
