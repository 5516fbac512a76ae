"""Files that people review, held against what the program makes now."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["GOLDEN", "check"]

GOLDEN = Path(__file__).parent / "golden"


def check(name: str, text: str, request: pytest.FixtureRequest) -> None:
    """Hold a text against its file, or write it where ``--update-golden`` is given."""
    path = GOLDEN / name
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.read_text(encoding="utf-8") == text, f"{name} differs; if that is meant: --update-golden"
